"""Asks an organisation for the Inbox of a mailbox, impersonating it. The argument is the folder
of the packages; question on standard input, answer on standard output: JSON."""

import json
import sys

sys.path.insert(0, sys.argv[1])

from exchangelib import BASIC, IMPERSONATION, Account, BaseProtocol, Configuration, Credentials, EWSTimeZone
from exchangelib.autodiscover.protocol import AutodiscoverProtocol
from requests.adapters import HTTPAdapter

question = json.load(sys.stdin)


class OrganisationAdapter(HTTPAdapter):
    """Trusts the organisation's own authority and no other."""

    def cert_verify(self, conn, url, verify, cert):
        super().cert_verify(conn=conn, url=url, verify=question["authority"], cert=cert)


def discovered(credentials):
    """The EWS URL that Autodiscover gives for the mailbox."""
    configuration = Configuration(service_endpoint=question["autodiscover"], credentials=credentials, auth_type=BASIC)
    settings = AutodiscoverProtocol(config=configuration).get_user_settings(user=question["mailbox"])
    return settings.ews_url


def found(messages):
    return [{"subject": message.subject, "message_id": message.message_id} for message in messages]


def main():
    BaseProtocol.HTTP_ADAPTER_CLS = OrganisationAdapter
    credentials = Credentials(question["user_name"], question["password"])
    account = Account(
        primary_smtp_address=question["mailbox"],
        config=Configuration(service_endpoint=question["url"], credentials=credentials, auth_type=BASIC),
        autodiscover=False,
        access_type=IMPERSONATION,
        default_timezone=EWSTimeZone("UTC"),
    )
    # Every property that exchangelib knows for the version, not only the two that are compared.
    inbox = list(account.inbox.all().order_by("datetime_received"))
    synchronised = [item for change, item in account.inbox.sync_items() if change == "create"]
    answer = {
        "inbox": found(inbox),
        "synchronised": found(sorted(synchronised, key=lambda item: item.datetime_received)),
        "major_version": account.version.build.major_version,
        "discovered": discovered(credentials),
    }
    json.dump(answer, sys.stdout)


main()
