//! Writing the configuration of the roles.

use std::path::PathBuf;

use postroad_rig::nats::permission;
use stage::ports;

use super::{Deployment, Error, Options, Role};
use crate::fragile::{self, Link, Member};

impl Deployment {
    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("postroad.toml")
    }

    /// The configuration of a role; all share one where they have no certificates of their own.
    pub fn config_of(&self, who: &str) -> PathBuf {
        match &self.security {
            None => self.config(),
            Some(_) => self.folder.path().join(format!("postroad-{who}.toml")),
        }
    }

    pub(super) fn write_config(&self, options: &Options) -> Result<(), Error> {
        let folder = self.folder.path();
        let key = folder.join("sealing.key");
        // Any 32 bytes are a key; the stage lives for a minute.
        std::fs::write(&key, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")?;
        let anchors = folder.join("relay.pem");
        std::fs::write(&anchors, self.relay.certificate())?;
        let port = |role: Role| self.ports.get(&role).copied().unwrap_or_default();
        let way = |link: Link, direct: u16| {
            let wire = self.fragile.as_ref().and_then(|fragile| fragile.wire(link));
            wire.map_or(direct, |wire| wire.address().port())
        };
        let mut endpoints = String::new();
        for role in Role::ALL {
            endpoints.push_str(&format!(
                "{} = \"http://127.0.0.1:{}\"\n",
                role.name(),
                way(Link::Role(role), port(role))
            ));
        }
        let listen = |role: Role| format!("listen = \"127.0.0.1:{}\"", port(role));
        let closed = ports::free(1)?.first().copied().unwrap_or(1);
        // The port is in the regions' URLs.
        let at = if self.fragile.is_some() { fragile::region_address() } else { std::net::Ipv4Addr::LOCALHOST };
        let mut hosts: String = self.hosts.iter().map(|host| format!("\"{host}\" = \"{at}:443\"\n")).collect();
        if let Some(fragile) = &self.fragile {
            hosts.push_str(&format!("\"{}\" = \"{}\"\n", fragile::STRANGER, fragile.stranger_at()));
        }
        let text = format!(
            "[nats]\nurl = \"{nats}\"\n\n[sealing]\nkey_file = \"{key}\"\n\n[access]\ntoken_file = \"{token}\"\n\n[endpoints]\n{endpoints}\n[profile]\n{profile}\n\n\
             [network]\nreleased_hosts = [\"*.contoso.example:*\"]\n\n[network.hosts]\n\"contoso.example\" = \"127.0.0.1:{closed}\"\n\
             \"autodiscover.contoso.example\" = \"127.0.0.1:{autodiscover}\"\n{hosts}\n[locator]\n{locator}\n\
             ask_again_ms = {retry}\ndiscoveries_per_second = 100\n\n[sync]\n{sync}\n\
             poll_ms = {poll}\nnotifications = {notifications}\nidle_poll_ms = {idle}\nstream_silence_ms = {silence}\nretry_ms = {retry}\nretry_attempts = {attempts}\nfirst_probe_ms = {probe}\n\
             last_probe_ms = 60000\nlease_ms = {lease}\nsnapshot_commits = {commits}\n\n[alert]\n{alert}\n\n[alert.smtp]\nhost = \"localhost\"\n\
             port = {relay}\nfrom = \"postroad@contoso.example\"\ntrust_anchors_file = \"{anchors}\"\n\n[crm]\n{crm}\n\n{sections}",
            nats = self.nats.url(),
            key = key.display(),
            token = self.token.path().display(),
            profile = listen(Role::Profile),
            locator = listen(Role::Locator),
            autodiscover = way(Link::Autodiscover, self.exchange.autodiscover_port()),
            sync = listen(Role::Sync),
            poll = options.poll.as_millis(),
            idle = options.idle_poll.as_millis(),
            notifications = options.notifications,
            silence = options.stream_silence.as_millis(),
            retry = options.retry.as_millis(),
            attempts = options.retry_attempts,
            probe = options.first_probe.as_millis(),
            lease = options.lease.as_millis(),
            commits = options.snapshot_commits,
            alert = listen(Role::Alert),
            relay = way(Link::Relay, self.relay.port()),
            anchors = anchors.display(),
            crm = listen(Role::Crm),
            sections = self.extras.sections,
        );
        let text = text + &self.telemetry(options);
        let Some(security) = &self.security else { return Ok(std::fs::write(self.config(), text)?) };
        std::fs::write(self.config(), security.configuration(&text, "administrator"))?;
        for who in Role::ALL.map(Role::name).into_iter().chain([permission::PREPARE]) {
            std::fs::write(self.config_of(who), security.configuration(&text, who))?;
        }
        Ok(())
    }

    /// The configuration of one process: that of its role, where nothing is its own.
    pub(super) fn config_for(&self, member: Member) -> Result<PathBuf, Error> {
        let role = if let Member::Role(role) = member { role } else { Role::Sync };
        let common_file = self.config_of(role.name());
        let mut text = std::fs::read_to_string(&common_file)?;
        let common = text.clone();
        if let Some(wire) = self.fragile.as_ref().and_then(|fragile| fragile.wire(Link::Nats(member))) {
            text = text.replace(&self.nats.url(), &format!("nats://{}", wire.address()));
        }
        if matches!(member, Member::Worker(_)) {
            // Its figures are nobody's business.
            if let Some((before, after)) = text.split_once("\n[telemetry.listeners]") {
                let rest = after.split_once("\n[").map(|(_, rest)| format!("\n[{rest}")).unwrap_or_default();
                text = format!("{before}{rest}");
            }
            let listen = |port: u16| format!("[sync]\nlisten = \"127.0.0.1:{port}\"");
            let usual = self.ports.get(&Role::Sync).copied().unwrap_or_default();
            let free = ports::free(1)?.first().copied().unwrap_or_default();
            text = text.replace(&listen(usual), &listen(free));
        }
        if text == common {
            return Ok(common_file);
        }
        let file = self.folder.path().join(format!("{}.toml", member.name()));
        std::fs::write(&file, text)?;
        Ok(file)
    }

    fn telemetry(&self, options: &Options) -> String {
        let mut text = "\n[telemetry]\n".to_owned();
        if let Some(port) = options.traces {
            text.push_str(&format!("otlp_endpoint = \"http://127.0.0.1:{port}\"\n"));
        }
        text.push_str("\n[telemetry.listeners]\n");
        for (role, port) in &self.figures {
            text.push_str(&format!("{} = \"127.0.0.1:{port}\"\n", role.name()));
        }
        text
    }
}
