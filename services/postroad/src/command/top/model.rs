//! What is known and what is looked at: a fold of keys and answers.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use postroad_proto::{
    alert::v1::{Alert, alert::Regarding},
    mailbox::v1::{Condition, Mailbox, SummarizeMailboxesResponse, TimelineEntry},
    sync::v1::ListWorkersResponse,
};
use postroad_rig::Role;

use super::{
    ask::EVENTS,
    fleet::{self, Server, Traffic},
    key::{self, Key},
    picked::Picked,
    question::{Answer, Question, Reply, Wanted},
};
use crate::failure::Failure;

/// Rates that are kept for the charts: some minutes, one a second.
const HISTORY: usize = 300;

/// A view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tab {
    /// Of everything something.
    Overview,
    /// The mail servers.
    Servers,
    /// The workers.
    Workers,
    /// The mailboxes.
    Mailboxes,
    /// What is and was wrong lately.
    Faults,
}

impl Tab {
    /// In their order.
    pub const ALL: [Self; 5] = [Self::Overview, Self::Servers, Self::Workers, Self::Mailboxes, Self::Faults];

    /// Its title.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Servers => "Servers",
            Self::Workers => "Workers",
            Self::Mailboxes => "Mailboxes",
            Self::Faults => "Faults",
        }
    }

    /// The one to its right.
    pub fn next(self) -> Self {
        let after = Self::ALL.into_iter().skip_while(|tab| *tab != self).nth(1);
        after.unwrap_or(Self::Overview)
    }

    /// The one to its left.
    pub fn previous(self) -> Self {
        let before = Self::ALL.into_iter().take_while(|tab| *tab != self).last();
        before.unwrap_or(Self::Faults)
    }
}

/// A mailbox that is looked into.
#[derive(Debug)]
pub struct Opened {
    /// Its id.
    pub id: String,
    /// Its address.
    pub address: String,
    /// The mailbox, once it is known.
    pub mailbox: Option<Mailbox>,
    /// Its event log, the newest first, once it is known.
    pub entries: VecDeque<TimelineEntry>,
    /// Whether the event log was read at all.
    pub is_read: bool,
    /// The entry at the top.
    pub scroll: usize,
    /// Why nothing is known of it.
    pub trouble: Option<String>,
}

/// A role that does not answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Since when.
    pub since: Timestamp,
    /// What the connection or the role says.
    pub text: String,
}

/// Everything.
#[derive(Debug)]
pub struct Model {
    /// The time of day.
    pub now: Timestamp,
    /// What is shown.
    pub tab: Tab,
    /// The mailboxes, counted.
    pub summary: Option<SummarizeMailboxesResponse>,
    /// The workers.
    pub workers: Option<ListWorkersResponse>,
    /// The servers.
    pub servers: Option<Vec<Server>>,
    /// The alerts, the newest first.
    pub alerts: Option<Vec<Alert>>,
    /// The mailboxes that were looked for, and whether there are more.
    pub mailboxes: Option<(Vec<Mailbox>, bool)>,
    /// What all workers do.
    pub traffic: Traffic,
    /// Messages decided and sent a second, the newest last.
    pub rates: VecDeque<(f64, f64)>,
    /// Which mailboxes are looked for.
    pub wanted: Wanted,
    /// The picked row of each view.
    pub picked: BTreeMap<Tab, Picked>,
    /// The mailbox that is looked into.
    pub opened: Option<Opened>,
    /// Roles that do not answer.
    pub troubles: BTreeMap<&'static str, Trouble>,
    /// Whether keys go into the search.
    pub is_searching: bool,
    /// Whether the keys are explained.
    pub is_helping: bool,
    /// Whether it was enough.
    pub is_over: bool,
}

/// What happens.
#[derive(Debug)]
pub enum Input {
    /// A key.
    Key(Key),
    /// An answer.
    Answer(Box<Answer>),
    /// Time passes.
    Clock(Timestamp),
}

impl Model {
    /// Nothing is known yet.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            tab: Tab::Overview,
            summary: None,
            workers: None,
            servers: None,
            alerts: None,
            mailboxes: None,
            traffic: Traffic::default(),
            rates: VecDeque::new(),
            wanted: Wanted::default(),
            picked: BTreeMap::new(),
            opened: None,
            troubles: BTreeMap::new(),
            is_searching: false,
            is_helping: false,
            is_over: false,
        }
    }

    /// The model after something happened.
    pub fn step(mut self, input: Input) -> Self {
        match input {
            Input::Key(key) => return key::press(self, key),
            Input::Clock(now) => self.now = now,
            Input::Answer(answer) => self.take(*answer),
        }
        self
    }

    /// What is to be asked again and again, as long as this is shown.
    pub fn questions(&self) -> Vec<Question> {
        let mut questions = Question::ALWAYS.to_vec();
        match &self.opened {
            Some(opened) => {
                let after = opened.entries.front().map_or(0, |entry| entry.sequence);
                questions.extend([Question::Mailbox(opened.id.clone()), Question::Timeline(opened.id.clone(), after)]);
            }
            None if self.tab == Tab::Mailboxes => questions.push(Question::Mailboxes(self.wanted.clone())),
            None => {}
        }
        questions
    }

    fn take(&mut self, answer: Answer) {
        let Answer { question, at, reply } = answer;
        self.now = self.now.max(at);
        let role = question.role();
        match reply {
            Ok(reply) => {
                self.troubles.remove(role.name());
                self.learn(question, reply);
            }
            Err(failure) => self.fail(&question, role, at, &failure),
        }
    }

    fn learn(&mut self, question: Question, reply: Reply) {
        match reply {
            Reply::Summary(summary) => self.summary = Some(summary),
            Reply::Workers(fleet) => {
                self.traffic = fleet::traffic(&fleet.workers);
                self.rates.push_back((self.traffic.decided_rate, self.traffic.sent_rate));
                self.rates.drain(..self.rates.len().saturating_sub(HISTORY));
                self.workers = Some(fleet);
                self.settle(Tab::Workers);
            }
            Reply::Servers(seen) => {
                self.servers = Some(fleet::servers(&seen));
                self.settle(Tab::Servers);
            }
            Reply::Alerts(alerts) => {
                self.alerts = Some(alerts);
                self.settle(Tab::Faults);
            }
            // What was looked for before is not looked for any more.
            Reply::Mailboxes(..) if question != Question::Mailboxes(self.wanted.clone()) => {}
            Reply::Mailboxes(mailboxes, has_more) => {
                self.mailboxes = Some((mailboxes, has_more));
                self.settle(Tab::Mailboxes);
            }
            Reply::Mailbox(mailbox) => {
                if let Some(opened) = self.opened.as_mut().filter(|opened| opened.id == mailbox.id) {
                    opened.address =
                        mailbox.settings.as_ref().map_or_else(String::new, |one| one.email_address.clone());
                    opened.mailbox = Some(*mailbox);
                    opened.trouble = None;
                }
            }
            Reply::Timeline(entries) => {
                let Question::Timeline(id, _) = question else { return };
                if let Some(opened) = self.opened.as_mut().filter(|opened| opened.id == id) {
                    opened.learn(entries);
                }
            }
        }
    }

    fn fail(&mut self, question: &Question, role: Role, at: Timestamp, failure: &Failure) {
        if let (Question::Mailbox(id) | Question::Timeline(id, _), Failure::Fault(problem)) = (question, failure) {
            // It may be about one that was looked into before.
            if let Some(opened) = self.opened.as_mut().filter(|opened| opened.id == *id) {
                opened.trouble = Some(problem.headline());
            }
            return;
        }
        let text = failure.to_string();
        let since = self.troubles.get(role.name()).map_or(at, |known| known.since);
        self.troubles.insert(role.name(), Trouble { since, text });
    }

    /// The keys of a view's rows.
    pub fn keys(&self, tab: Tab) -> Vec<String> {
        match tab {
            // The overview shows the alerts as well.
            Tab::Overview | Tab::Faults => self.alerts.iter().flatten().map(|alert| alert.id.clone()).collect(),
            Tab::Servers => self.servers.iter().flatten().map(|server| server.name.clone()).collect(),
            Tab::Workers => {
                self.workers.iter().flat_map(|fleet| &fleet.workers).map(|worker| worker.worker.clone()).collect()
            }
            Tab::Mailboxes => self.mailboxes.iter().flat_map(|(all, _)| all).map(|one| one.id.clone()).collect(),
        }
    }

    /// The place of the picked row of a view.
    pub fn picked(&self, tab: Tab) -> usize {
        self.picked.get(&tab).map_or(0, Picked::at)
    }

    fn settle(&mut self, tab: Tab) {
        let keys = self.keys(tab);
        self.picked.entry(tab).or_default().settle(&keys);
        if tab == Tab::Faults {
            self.picked.entry(Tab::Overview).or_default().settle(&keys);
        }
    }

    /// Goes to a view.
    pub fn show(&mut self, tab: Tab) {
        self.tab = tab;
        self.opened = None;
        self.is_searching = false;
    }

    /// Opens the picked row.
    pub fn open(&mut self) {
        if self.opened.is_some() {
            return;
        }
        let at = self.picked(self.tab);
        match self.tab {
            Tab::Mailboxes => {
                let picked = self.mailboxes.as_ref().and_then(|(mailboxes, _)| mailboxes.get(at));
                let address = |mailbox: &Mailbox| mailbox.settings.as_ref().map(|one| one.email_address.clone());
                if let Some(mailbox) = picked {
                    self.opened = Some(Opened::new(mailbox.id.clone(), address(mailbox).unwrap_or_default()));
                }
            }
            Tab::Overview | Tab::Faults => {
                let Some(alert) = self.alerts.as_ref().and_then(|alerts| alerts.get(at)) else { return };
                match &alert.regarding {
                    Some(Regarding::MailboxId(id)) => {
                        self.opened = Some(Opened::new(id.clone(), alert.regarding_name.clone()));
                    }
                    Some(Regarding::ProfileId(_)) | None => {
                        let fault = alert.fault.as_ref().map(|fault| fault.code.clone()).unwrap_or_default();
                        self.show(Tab::Mailboxes);
                        self.look_for(Wanted { fault, ..Wanted::default() });
                    }
                }
            }
            Tab::Servers | Tab::Workers => {}
        }
    }

    /// Looks for mailboxes by a text.
    pub fn search(&mut self, search: String) {
        self.look_for(Wanted { search, ..self.wanted.clone() });
    }

    /// Looks for mailboxes in the next condition.
    pub fn filter_next(&mut self) {
        let next = match self.wanted.condition {
            None => Some(Condition::Well),
            Some(Condition::Well) => Some(Condition::Retrying),
            Some(Condition::Retrying) => Some(Condition::Throttled),
            Some(Condition::Throttled) => Some(Condition::Disabled),
            Some(Condition::Disabled) => Some(Condition::NotEnabled),
            Some(Condition::NotEnabled) => Some(Condition::Inactive),
            Some(Condition::Inactive | Condition::Unspecified) => None,
        };
        self.look_for(Wanted { condition: next, ..self.wanted.clone() });
    }

    /// Looks for all mailboxes.
    pub fn filter_none(&mut self) {
        self.look_for(Wanted::default());
    }

    fn look_for(&mut self, wanted: Wanted) {
        if self.wanted != wanted {
            self.wanted = wanted;
            self.mailboxes = None;
            self.picked.entry(Tab::Mailboxes).or_default().reset();
        }
    }
}

impl Opened {
    const fn new(id: String, address: String) -> Self {
        Self { id, address, mailbox: None, entries: VecDeque::new(), is_read: false, scroll: 0, trouble: None }
    }

    fn learn(&mut self, entries: Vec<TimelineEntry>) {
        self.is_read = true;
        let newest = self.entries.front().map_or(0, |entry| entry.sequence);
        for entry in entries.into_iter().filter(|entry| entry.sequence > newest) {
            self.entries.push_front(entry);
            // Who has scrolled goes on reading where he was.
            if self.scroll > 0 {
                self.scroll += 1;
            }
        }
        self.entries.truncate(EVENTS);
        self.scroll = self.scroll.min(self.entries.len().saturating_sub(1));
    }
}
