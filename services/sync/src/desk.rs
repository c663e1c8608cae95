//! Who waits for a turn: for each account at a server its lanes, and the accounts in turn.

use std::collections::{HashMap, VecDeque};

use postroad_core::pace::{Lane, Lanes, Moment};
use uuid::Uuid;

use crate::pace::Route;

/// The mailboxes that wait.
#[derive(Default)]
pub struct Desk {
    routes: HashMap<Route, Lanes<Uuid>>,
    /// The routes that have somebody, in turn.
    order: VecDeque<Route>,
    waiting: HashMap<Uuid, Waiting>,
}

struct Waiting {
    route: Route,
    since: Moment,
}

/// What a route may do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// One more of at least this urgency.
    For(Lane),
    /// None.
    No,
}

impl Desk {
    /// A mailbox wants a turn.
    pub fn push(&mut self, id: Uuid, route: Route, lane: Lane, now: Moment) {
        if let Some(present) = self.waiting.get(&id)
            && present.route != route
        {
            self.remove(id);
        }
        self.waiting.entry(id).or_insert_with(|| Waiting { route: route.clone(), since: now });
        if !self.routes.contains_key(&route) {
            self.order.push_back(route.clone());
        }
        self.routes.entry(route).or_default().push(id, lane);
    }

    /// A mailbox does not want one any more.
    pub fn remove(&mut self, id: Uuid) {
        if let Some(waiting) = self.waiting.remove(&id)
            && let Some(lanes) = self.routes.get_mut(&waiting.route)
        {
            lanes.remove(&id);
        }
    }

    /// The next turn of a route that has room for it.
    pub fn pop(&mut self, room: impl Fn(&Route) -> Room) -> Option<(Uuid, Route, Lane)> {
        for _ in 0..self.order.len() {
            let route = self.order.pop_front()?;
            let Some(lanes) = self.routes.get_mut(&route) else { continue };
            if lanes.is_empty() {
                self.routes.remove(&route);
                continue;
            }
            let turn = match room(&route) {
                Room::For(least) => lanes.pop(least),
                Room::No => None,
            };
            self.order.push_back(route.clone());
            if let Some((id, lane)) = turn {
                self.waiting.remove(&id);
                return Some((id, route, lane));
            }
        }
        None
    }

    /// What a turn cost; whether the mailbox comes back for more at once.
    pub fn charge(&mut self, id: Uuid, route: &Route, cost: u32, comes_back: bool) {
        if let Some(lanes) = self.routes.get_mut(route) {
            lanes.charge(id, cost, comes_back);
        }
    }

    /// The routes that have somebody.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.order.iter()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Since when the one waits that waits longest.
    pub fn oldest(&self) -> Option<Moment> {
        self.waiting.values().map(|waiting| waiting.since).min()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::pace::Account;

    fn route(account: u128) -> Route {
        Route { server: Arc::from("mail.contoso.example"), account: Account::Profile(Uuid::from_u128(account)) }
    }

    const fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    const BEGIN: Moment = Duration::ZERO;

    #[test]
    fn accounts_take_turns_however_many_of_one_wait() {
        let mut desk = Desk::default();
        (0..100).for_each(|number| desk.push(id(number), route(1), Lane::Live, BEGIN));
        desk.push(id(200), route(2), Lane::Live, BEGIN);
        let first: Vec<_> = (0..2).filter_map(|_| desk.pop(|_| Room::For(Lane::Refresh))).map(|turn| turn.1).collect();
        assert_eq!(first, [route(1), route(2)]);
    }

    #[test]
    fn a_route_without_room_holds_up_nobody_else() {
        let mut desk = Desk::default();
        desk.push(id(1), route(1), Lane::Person, BEGIN);
        desk.push(id(2), route(2), Lane::Refresh, BEGIN);
        let room = |asked: &Route| if *asked == route(1) { Room::No } else { Room::For(Lane::Refresh) };
        assert_eq!(desk.pop(room).map(|turn| turn.0), Some(id(2)));
        assert_eq!((desk.pop(room), desk.len()), (None, 1));
    }

    #[test]
    fn what_is_less_urgent_waits_where_only_the_urgent_have_room() {
        let mut desk = Desk::default();
        desk.push(id(1), route(1), Lane::Backfill, BEGIN);
        assert_eq!(desk.pop(|_| Room::For(Lane::Live)), None);
        assert!(desk.pop(|_| Room::For(Lane::Refresh)).is_some());
    }

    #[test]
    fn whose_server_changed_waits_there_once() {
        let mut desk = Desk::default();
        desk.push(id(1), route(1), Lane::Live, BEGIN);
        desk.push(id(1), route(2), Lane::Live, Duration::from_secs(1));
        assert_eq!(desk.pop(|_| Room::For(Lane::Refresh)).map(|turn| turn.1), Some(route(2)));
        assert_eq!((desk.pop(|_| Room::For(Lane::Refresh)), desk.len()), (None, 0));
    }

    #[test]
    fn it_tells_how_long_the_last_one_waits() {
        let mut desk = Desk::default();
        desk.push(id(1), route(1), Lane::Refresh, Duration::from_secs(5));
        desk.push(id(2), route(1), Lane::Live, Duration::from_secs(9));
        desk.push(id(1), route(1), Lane::Live, Duration::from_secs(10));
        assert_eq!(desk.oldest(), Some(Duration::from_secs(5)));
    }
}
