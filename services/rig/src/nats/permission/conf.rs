//! The section `accounts` of a NATS configuration.

use std::fmt::Write as _;

use super::{Account, Offer, User};

/// Writes it.
pub fn conf(accounts: &[Account]) -> String {
    let mut text = "accounts {\n".to_owned();
    for account in accounts {
        // Writing into memory does not fail.
        let _ = write(&mut text, account);
    }
    text.push_str("}\n");
    text
}

fn write(text: &mut String, account: &Account) -> std::fmt::Result {
    let Account { account, jetstream, exports, imports, users } = account;
    writeln!(text, "  {account} {{")?;
    if *jetstream {
        writeln!(text, "    jetstream: enabled")?;
    }
    if !exports.is_empty() {
        writeln!(text, "    exports: [")?;
        for export in exports {
            let answers = if export.offer == Offer::ServiceOfStream { ", response_type: stream" } else { "" };
            let (offer, accounts) = (export.offer.name(), export.accounts.join(", "));
            writeln!(text, "      {{ {offer}: \"{}\"{answers}, accounts: [{accounts}] }}", export.subject)?;
        }
        writeln!(text, "    ]")?;
    }
    if !imports.is_empty() {
        writeln!(text, "    imports: [")?;
        for import in imports {
            let to = import.to.as_ref().map(|to| format!(", to: \"{to}\"")).unwrap_or_default();
            let (offer, from) = (import.offer.name(), import.account);
            writeln!(text, "      {{ {offer}: {{ account: {from}, subject: \"{}\" }}{to} }}", import.subject)?;
        }
        writeln!(text, "    ]")?;
    }
    writeln!(text, "    users: [")?;
    for User { user, publish, subscribe } in users {
        writeln!(text, "      {{\n        user: \"{user}\"\n        permissions: {{")?;
        for (verb, subjects) in [("publish", publish), ("subscribe", subscribe)] {
            writeln!(text, "          {verb}: {{ allow: [")?;
            for subject in subjects {
                writeln!(text, "            \"{subject}\"")?;
            }
            writeln!(text, "          ] }}")?;
        }
        writeln!(text, "        }}\n      }}")?;
    }
    writeln!(text, "    ]\n  }}")
}
