//! The rows. Adding one is adding a line here; nothing else lists the codes.

use serde::{Deserialize, Serialize};

use super::{Actor, Permanence, Probe, Row, Scope};

macro_rules! rows {
    ($( $variant:ident $name:literal $permanence:ident $scope:ident $who:ident $probe:ident
        $what:literal $cause:literal $remedy:literal; )*) => {
        /// The name of a row of the fault table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Code {
            $( #[doc = $what] $variant, )*
        }

        impl Code {
            /// Every code, in the table's order.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )*];

            /// The row of this code.
            pub const fn row(self) -> Row {
                match self {
                    $( Self::$variant => Row {
                        name: $name,
                        permanence: Permanence::$permanence,
                        scope: Scope::$scope,
                        what: $what,
                        cause: $cause,
                        remedy: $remedy,
                        who: Actor::$who,
                        probe: Probe::$probe,
                    }, )*
                }
            }
        }
    };
}

rows! {
    // Reaching the server.
    DnsFailed "DNS_FAILED" Transient Server Administrator Growing
        "The server's name could not be resolved"
        "The host name is misspelt, not published in the DNS that Postroad uses, or the DNS does not answer"
        "Check the location's host name, and that it resolves from where Postroad runs";
    ConnectRefused "CONNECT_REFUSED" Transient Server ExchangeAdministrator Growing
        "The server refused or dropped the connection"
        "The server or its reverse proxy is down, the port is wrong, or a firewall rejects Postroad's address"
        "Check that the server runs and that the firewall or reverse proxy lets Postroad reach the port";
    ConnectTimeout "CONNECT_TIMEOUT" Transient Server ExchangeAdministrator Growing
        "The server did not answer the connection in time"
        "A firewall drops Postroad's packets, or the server is overloaded or gone"
        "Allow the connection in the firewall or reverse proxy, and check that the server is up";
    ResponseTimeout "RESPONSE_TIMEOUT" Transient Server ExchangeAdministrator Growing
        "The server accepted the request and did not answer in time"
        "Exchange is overloaded, or the profile's connection timeout is too short"
        "Check the load of Exchange; raise the profile's connection timeout if answers are merely slow";
    ResponseTruncated "RESPONSE_TRUNCATED" Transient Server ExchangeAdministrator Growing
        "The server's answer broke off in the middle"
        "The connection was cut by the server, a reverse proxy or the network"
        "If it goes on, look for time or size limits in the reverse proxy";
    ResponseMalformed "RESPONSE_MALFORMED" Transient Mailbox Developer Growing
        "The server's answer could not be understood"
        "A proxy changed the answer, or Exchange sent a form that Postroad does not know"
        "Repeat the test; if it stays, report it with the evidence of the event log";
    ResponseTooLarge "RESPONSE_TOO_LARGE" Transient Mailbox Operator Growing
        "The server's answer is larger than Postroad accepts"
        "One answer exceeds the limit that protects the worker's memory"
        "Raise the response limit of the sync role";
    TlsUntrusted "TLS_UNTRUSTED" Permanent Server Administrator Growing
        "The server's certificate comes from an authority that is not trusted"
        "The certificate is self-signed or from a private authority, or the server does not send its intermediate certificates"
        "Add the authority's certificate (PEM) to the profile's trust anchors, or install a publicly trusted certificate with its chain";
    TlsNameMismatch "TLS_NAME_MISMATCH" Permanent Server ExchangeAdministrator Growing
        "The server's certificate does not carry the name that was asked for"
        "The certificate lacks the host name of the EWS or Autodiscover location"
        "Issue a certificate that includes the name (setup guide, Create a certificate), or use a location whose name it carries";
    TlsExpired "TLS_EXPIRED" Permanent Server ExchangeAdministrator Growing
        "The server's certificate has expired or is not valid yet"
        "It was not renewed, or a clock is wrong"
        "Renew the certificate; check the clocks of the server and of Postroad";
    TlsObsolete "TLS_OBSOLETE" Permanent Server ExchangeAdministrator Growing
        "The server and Postroad have no TLS version or cipher suite in common"
        "Windows Server 2008 R2 to 2012 R2, the hosts of Exchange 2010 and 2013, offer only TLS 1.0 and 1.1, or only suites without ECDHE and AES-GCM"
        "Enable TLS 1.2 with ECDHE and AES-GCM suites on the server (Schannel; with an ECDSA certificate where it needs one), put a reverse proxy in front, or choose the system's TLS for this profile (tls = system) where Postroad was built with legacy-tls, and the system's policy (openssl.cnf: MinProtocol, SECLEVEL) allows what the server offers";
    TlsNotSpoken "TLS_NOT_SPOKEN" Permanent Server ExchangeAdministrator Growing
        "What answers at the server's port does not speak TLS"
        "The port is one for plain HTTP or another protocol, or a proxy answers in the server's place"
        "Check the port of the location; it is 443 unless the server is published otherwise. Bind a certificate to the site in IIS";
    TlsHandshake "TLS_HANDSHAKE" Permanent Server ExchangeAdministrator Growing
        "No TLS connection could be agreed with the server"
        "The server or a device before it breaks off the TLS handshake: no certificate is bound to the name, a client certificate is demanded, or Windows Server drops the connection without a word as no suite is in common"
        "Check the certificate binding and the Schannel events of the server, enable TLS 1.2 with ECDHE and AES-GCM suites, and ask what filters the connection";
    AddressRefused "ADDRESS_REFUSED" Permanent Server Administrator OnChange
        "The server's name leads to an address that must not be connected to"
        "The address is internal, of this machine or of no network, and neither the profile nor the deployment allows it"
        "If the server is inside your network, allow internal addresses in the profile; otherwise correct the DNS record";
    // HTTP.
    HttpRedirected "HTTP_REDIRECTED" Permanent Server ExchangeAdministrator Growing
        "The server redirected the request, and redirects are not followed with credentials"
        "A reverse proxy sends EWS requests to a log-on page or to another host"
        "Publish /EWS/Exchange.asmx without forms-based pre-authentication, or enter the location that it redirects to";
    HttpForbidden "HTTP_FORBIDDEN" Permanent Mailbox ExchangeAdministrator Growing
        "The server forbids the request (403)"
        "EWS is switched off for the mailbox or organisation, an application access policy blocks Postroad, or a proxy filters it"
        "Check Set-CASMailbox EwsEnabled and EwsApplicationAccessPolicy, and the rules of the reverse proxy";
    HttpNotFound "HTTP_NOT_FOUND" Transient Server Administrator Growing
        "Nothing is found at the location (404)"
        "The path is not /EWS/Exchange.asmx, or the virtual directory is not published"
        "Correct the location, or publish the EWS virtual directory";
    HttpUnavailable "HTTP_UNAVAILABLE" Transient Server ExchangeAdministrator Growing
        "The server is not available at the moment (502, 503 or 504)"
        "Exchange or its reverse proxy is restarting, overloaded or stopped"
        "If it goes on, check the Exchange services and the application pool";
    HttpServerError "HTTP_SERVER_ERROR" Transient Server ExchangeAdministrator Growing
        "The server failed to process the request (500)"
        "An internal error of Exchange or of a proxy in front of it"
        "If it goes on, look into the server's event log with the request id of the evidence";
    HttpUnexpected "HTTP_UNEXPECTED" Transient Server ExchangeAdministrator Growing
        "The server answered with an unexpected HTTP status"
        "Something other than Exchange answers at the location"
        "Check what is published at the location";
    NotExchange "NOT_EXCHANGE" Transient Server ExchangeAdministrator Growing
        "The answer is a web page, not an answer of Exchange Web Services"
        "A reverse proxy, a log-on page or a maintenance page answers in place of Exchange"
        "Publish /EWS/Exchange.asmx directly, without a page in front of it";
    // Authentication.
    BasicNotOffered "BASIC_NOT_OFFERED" Permanent Server ExchangeAdministrator Growing
        "The server does not offer Basic authentication"
        "Basic authentication is off by default on the EWS virtual directory"
        "Enable Basic authentication in Exchange: Set-WebServicesVirtualDirectory -BasicAuthentication $true on every server (setup guide, Enable Basic authentication)";
    BearerRequired "BEARER_REQUIRED" Permanent Server Administrator OnChange
        "The server accepts modern authentication only"
        "The location belongs to Exchange Online, or the organisation uses hybrid modern authentication"
        "Use a profile of the server type that fits, with its own credentials";
    ChallengeMissing "CHALLENGE_MISSING" Permanent Server ExchangeAdministrator Growing
        "The request was refused (401) by something that is not Exchange"
        "A reverse proxy or publishing rule refuses the request before it reaches Exchange"
        "Check the authentication settings of the publishing rule";
    CredentialsRejected "CREDENTIALS_REJECTED" Permanent Server Administrator OnChange
        "The server rejected the user name or password"
        "The password is wrong or was changed, the account is locked, disabled or expired, or the user name is not in the form user@domain"
        "Enter the service account's user name as user@domain and its current password, then test the connection";
    AccountLocked "ACCOUNT_LOCKED" Permanent Server ExchangeAdministrator OnChange
        "The service account is locked"
        "Too many attempts with a wrong password, or an administrator locked it"
        "Unlock the account, correct the password in the profile, then test the connection";
    PasswordExpired "PASSWORD_EXPIRED" Permanent Server ExchangeAdministrator OnChange
        "The service account's password has expired or must be changed"
        "The account's password policy"
        "Set a new password in the directory and in the profile; exempt service accounts from expiry";
    CredentialsMissing "CREDENTIALS_MISSING" Permanent Server Administrator OnChange
        "No user name and password are stored"
        "The profile has no service account yet, or the mailbox is to use its own credentials and has none"
        "Enter the credentials of the service account in the profile";
    // Modern authentication.
    BearerNotOffered "BEARER_NOT_OFFERED" Permanent Server ExchangeAdministrator Growing
        "The server does not offer modern authentication"
        "OAuth is off on the virtual directory, hybrid modern authentication is not set up, or a reverse proxy strips the token"
        "Check Get-WebServicesVirtualDirectory and Get-AutodiscoverVirtualDirectory (OAuthAuthentication must be True) and Get-AuthServer (the server EvoSts enabled), or use a profile with user name and password";
    TokenServiceUnavailable "TOKEN_SERVICE_UNAVAILABLE" Transient Server Administrator Growing
        "The token service has no answer at the moment"
        "The token endpoint is misspelt, a firewall keeps Postroad from reaching it, or the service is down or throttles"
        "Check the profile's token endpoint, such as https://login.microsoftonline.com/TENANT/oauth2/v2.0/token, and that Postroad may reach it on port 443";
    ClientCredentialsRejected "CLIENT_CREDENTIALS_REJECTED" Permanent Server Administrator OnChange
        "The token service rejected the application's secret or certificate"
        "The client secret is wrong or has expired, or the certificate has expired or is not registered with the application"
        "Create a new client secret, or upload the certificate, under Certificates & secrets of the app registration, enter it in the profile (the secret's value, not its id), then test the connection";
    TokenRequestRefused "TOKEN_REQUEST_REFUSED" Permanent Server Administrator OnChange
        "The token service refused to issue a token"
        "The tenant of the token endpoint, the client id or the scope is wrong, or the application is disabled or absent in the tenant"
        "Compare tenant id, client id and scope with the app registration; the scope is the server's resource followed by /.default, such as https://outlook.office365.com/.default";
    TokenRefused "TOKEN_REFUSED" Permanent Server ExchangeAdministrator Growing
        "Exchange refused the access token"
        "The token is for another resource or tenant, Exchange does not trust its issuer, or a clock is wrong"
        "Check that the scope names the host of the location, that this host is a service principal name of Exchange in the tenant, and on servers of your own that Test-OAuthConnectivity succeeds and clocks are right";
    TokenPermissionMissing "TOKEN_PERMISSION_MISSING" Permanent Server Administrator Growing
        "The access token carries no permission for Exchange Web Services"
        "The application lacks the application permission full_access_as_app of Office 365 Exchange Online, or an administrator has not consented to it"
        "Add the application permission full_access_as_app to the app registration and grant admin consent; a delegated permission is not enough";
    // Impersonation and access.
    ImpersonationDenied "IMPERSONATION_DENIED" Permanent Mailbox ExchangeAdministrator Growing
        "The service account may not impersonate this mailbox's user"
        "The account lacks the management role ApplicationImpersonation, or the mailbox lies outside of the scope of its role"
        "Grant the role: New-ManagementRoleAssignment -Role ApplicationImpersonation -User ACCOUNT (setup guide, Create a Service account); where other mailboxes work, extend the scope of the assignment to this one";
    MailboxWithoutLicense "MAILBOX_WITHOUT_LICENSE" Permanent Mailbox ExchangeAdministrator Growing
        "The mailbox's user has no licence for Exchange"
        "The licence was never assigned, or it was taken away or has expired"
        "Assign an Exchange licence to the user, or convert the mailbox to a shared one";
    MailboxNotFound "MAILBOX_NOT_FOUND" Permanent Mailbox Administrator Growing
        "Exchange knows no mailbox with this address"
        "The address is misspelt, the mailbox was removed, or it lives in another organisation"
        "Correct the mailbox's email address, or attach it to the profile of its server";
    AddressNotPrimary "ADDRESS_NOT_PRIMARY" Permanent Mailbox Administrator Growing
        "The address is only a secondary address of the mailbox"
        "Exchange wants the primary SMTP address here"
        "Enter the mailbox's primary address";
    AccountDisabled "ACCOUNT_DISABLED" Permanent Mailbox ExchangeAdministrator Growing
        "The mailbox's user account is disabled in the directory"
        "The person left, or the account is blocked"
        "Enable the account, or deactivate the mailbox in Postroad";
    MailboxAccessDenied "MAILBOX_ACCESS_DENIED" Permanent Mailbox ExchangeAdministrator Growing
        "Access to the mailbox's folder was denied"
        "The account has no rights on the folder"
        "Grant full access or impersonation for the mailbox";
    FolderMissing "FOLDER_MISSING" Permanent Mailbox ExchangeAdministrator Growing
        "A folder that is needed does not exist in the mailbox"
        "It was deleted, or the mailbox was replaced"
        "Test and enable the mailbox again";
    // State of mailbox and server.
    ServerBusy "SERVER_BUSY" Transient Server Nobody Growing
        "Exchange asked to wait (throttling)"
        "The throttling policy's budget of the account or mailbox is used up"
        "Nothing to do; if it is constant, lower the maximum concurrent connections or give the account its own throttling policy";
    ConnectionsExceeded "CONNECTIONS_EXCEEDED" Transient Server Administrator Growing
        "More connections were open than Exchange allows"
        "The maximum concurrent connections exceed the policy EWSMaxConcurrency (10 on Exchange 2010, 27 later)"
        "Lower the profile's maximum concurrent connections";
    MailboxMoving "MAILBOX_MOVING" Transient Mailbox Nobody Growing
        "The mailbox is being moved or is served by another server"
        "A mailbox move, a failover or a change of site; Postroad asks Autodiscover again"
        "Nothing to do; if a fixed location is used and the mailbox stays away, correct the location";
    StoreUnavailable "STORE_UNAVAILABLE" Transient Mailbox ExchangeAdministrator Growing
        "The mailbox's database is not available"
        "The database is dismounted, failing over or overloaded"
        "If it goes on, check the mailbox database";
    ExchangeInternal "EXCHANGE_INTERNAL" Transient Mailbox ExchangeAdministrator Growing
        "Exchange reported an internal error"
        "A temporary failure inside Exchange"
        "If it goes on, look into the server's event log with the request id of the evidence";
    ExchangeTransient "EXCHANGE_TRANSIENT" Transient Mailbox Nobody Growing
        "Exchange reported a temporary error"
        "A time-out, a connection or a directory lookup inside Exchange failed"
        "Nothing to do; it is retried";
    QuotaExceeded "QUOTA_EXCEEDED" Transient Mailbox ExchangeAdministrator Growing
        "The mailbox is full or a limit is used up"
        "A quota of the mailbox or of the organisation"
        "Free space in the mailbox or raise the quota";
    VersionRefused "VERSION_REFUSED" Permanent Server Developer Growing
        "The server does not accept the schema version of the request"
        "The server is older than Exchange 2010 SP2"
        "Use Exchange 2010 SP3, 2013 SP1, 2016 or later";
    ConfigurationRefused "CONFIGURATION_REFUSED" Permanent Mailbox ExchangeAdministrator Growing
        "Exchange refuses the request because of its configuration"
        "A setting or policy of the mailbox or server, named in the detail"
        "Look up Exchange's code in the detail and correct the setting";
    RequestRefused "REQUEST_REFUSED" Permanent Mailbox Developer Growing
        "Exchange refused a request of Postroad as wrong"
        "A defect of Postroad, or a proxy that changes requests"
        "Report it with the evidence of the event log";
    SyncStateInvalid "SYNC_STATE_INVALID" Transient Mailbox Nobody Growing
        "Exchange no longer knows the synchronization state of the folder"
        "The mailbox was moved or restored; Postroad lists the folder anew and recognises what it has"
        "Nothing to do; nothing is lost or doubled";
    // Autodiscover.
    AutodiscoverFailed "AUTODISCOVER_FAILED" Transient Mailbox Administrator Growing
        "The mailbox's location could not be determined by Autodiscover"
        "Neither the domain nor autodiscover.DOMAIN answers as an Autodiscover service"
        "Publish Autodiscover for the domain, or set Autodiscover to No and enter the location";
    AutodiscoverUserUnknown "AUTODISCOVER_USER_UNKNOWN" Permanent Mailbox Administrator Growing
        "Autodiscover does not know the address"
        "The mailbox does not exist there, or the domain is not authoritative in a hybrid deployment"
        "Correct the address, or use a profile with a fixed location";
    AutodiscoverUrlMissing "AUTODISCOVER_URL_MISSING" Permanent Server ExchangeAdministrator Growing
        "Autodiscover answers without an external EWS location"
        "The ExternalUrl of the EWS virtual directory is not set"
        "Set it: Set-WebServicesVirtualDirectory -ExternalUrl https://HOST/EWS/Exchange.asmx";
    AutodiscoverHostRefused "AUTODISCOVER_HOST_REFUSED" Permanent Server Administrator OnChange
        "Autodiscover wants to use a host that is not released for this profile"
        "The answer points outside the mailbox's domain; the service account's password would go there"
        "If the host is yours, release it: postroad profile release PROFILE HOST; otherwise find out who answers for your domain";
    AutodiscoverDowngraded "AUTODISCOVER_DOWNGRADED" Permanent Server Administrator OnChange
        "An Autodiscover host that offered stronger authentication before now accepts passwords only"
        "Somebody may answer in its place, or the server's authentication settings were changed"
        "Find out which; if the change is yours, run: postroad locate ADDRESS --anew";
    AutodiscoverWaiting "AUTODISCOVER_WAITING" Transient Mailbox Nobody Growing
        "Autodiscover is being asked about many mailboxes, and this one's turn has not come"
        "Many mailboxes of the domain were moved or enabled at once; the domain is asked a few times a second only"
        "Nothing to do; it is retried";
    MailboxInExchangeOnline "MAILBOX_IN_EXCHANGE_ONLINE" Permanent Mailbox Administrator OnChange
        "The mailbox is hosted in Exchange Online"
        "It was moved there; the on-premises service account cannot log on to it"
        "Attach the mailbox to a profile of the server type Exchange Online (setup guide, hybrid deployments)";
    AutodiscoverRedirected "AUTODISCOVER_REDIRECTED" Permanent Mailbox Administrator Growing
        "Autodiscover redirects the mailbox to another address or service"
        "The mailbox lives elsewhere, for example in Exchange Online"
        "Attach the mailbox to a profile of the server type where it lives";
    AutodiscoverServerError "AUTODISCOVER_SERVER_ERROR" Transient Server ExchangeAdministrator Growing
        "The Autodiscover service reported an error"
        "A temporary failure or a configuration error on the server"
        "If it goes on, check the Autodiscover service";
    // Preconditions of synchronization.
    MailboxInactive "MAILBOX_INACTIVE" Permanent Mailbox Administrator OnChange
        "The mailbox is inactive"
        "It was deactivated"
        "Activate the mailbox";
    MailboxNotApproved "MAILBOX_NOT_APPROVED" Permanent Mailbox Administrator OnChange
        "The mailbox's email address is not approved"
        "Addresses have to be approved before their mail is processed"
        "Approve the mailbox, then test and enable it";
    ProfileMissing "PROFILE_MISSING" Permanent Mailbox Administrator OnChange
        "The mailbox has no email server profile"
        "It was never associated with one"
        "Associate the mailbox with a profile";
    ProfileInactive "PROFILE_INACTIVE" Permanent Mailbox Administrator OnChange
        "The mailbox's email server profile is inactive"
        "The profile was deactivated"
        "Activate the profile";
    NothingToSynchronize "NOTHING_TO_SYNCHRONIZE" Permanent Mailbox Administrator OnChange
        "No direction of the mailbox uses server-side synchronization"
        "The synchronization methods are all set to None"
        "Set the synchronization method of at least one direction";
    // Items.
    ItemUnreadable "ITEM_UNREADABLE" Transient Item ExchangeAdministrator Growing
        "Exchange could not deliver the message"
        "The message is corrupt or cannot be converted"
        "Open the message in Outlook; the Undeliverable folder keeps it if the profile says so";
    ItemTooLarge "ITEM_TOO_LARGE" Transient Item Operator Growing
        "The message is larger than Postroad accepts"
        "Its content exceeds the limit of the sync role"
        "Raise the message limit of the sync role";
    ItemRefusedByCrm "ITEM_REFUSED_BY_CRM" Transient Item Administrator Growing
        "The CRM refused the message"
        "A rule or limit of the CRM, named in the detail"
        "Cure the cause named in the detail; the message is tried again";
    SendAsDenied "SEND_AS_DENIED" Permanent Item ExchangeAdministrator Growing
        "The mailbox may not send email in this sender's name"
        "Exchange grants the mailbox neither Send As nor Send on behalf for the address in From (ErrorSendAsDenied)"
        "Grant Send As or Send on behalf to the mailbox, or send from its own address; then send the email again";
    MailboxFull "MAILBOX_FULL" Transient Item ExchangeAdministrator Growing
        "The sending mailbox is full"
        "It exceeds its quota, also by the copies in Sent Items (ErrorQuotaExceeded)"
        "Free space in the mailbox or raise its quota; the setting save-sent-email=no keeps no copies";
    EmailTooLarge "EMAIL_TOO_LARGE" Permanent Item Administrator Growing
        "The email is larger than Exchange accepts"
        "The message or one of its attachments exceeds a size limit of the mail server"
        "Send smaller attachments, or raise the limits of Exchange (message size, maxRequestLength of EWS)";
    RecipientInvalid "RECIPIENT_INVALID" Permanent Item Administrator Growing
        "Exchange refuses a recipient of the email"
        "An address is malformed, or there is none"
        "Correct the recipients, then send the email again";
    EmailNotSent "EMAIL_NOT_SENT" Transient Item ExchangeAdministrator Growing
        "Exchange did not send the email"
        "It refused one of the steps; the detail says which, and its own code"
        "Cure the cause named in the detail; the email is tried again, ten times in all";
    // Postroad's own parts.
    CrmUnavailable "CRM_UNAVAILABLE" Transient Deployment Operator Growing
        "The CRM does not answer"
        "The crm role or the CRM behind it is down or unreachable"
        "Check the crm role with: postroad doctor";
    LocatorUnavailable "LOCATOR_UNAVAILABLE" Transient Deployment Operator Growing
        "The locator does not answer"
        "The locator role is down or unreachable"
        "Check the locator role with: postroad doctor";
    JournalUnavailable "JOURNAL_UNAVAILABLE" Transient Deployment Operator Growing
        "The journal does not answer"
        "NATS is down or unreachable, or its storage is full"
        "Check NATS with: postroad doctor";
    NatsTooOld "NATS_TOO_OLD" Permanent Deployment Operator OnChange
        "The NATS server is older than 2.12"
        "Older servers silently ignore what protects the journal"
        "Run nats-server 2.12 or newer";
    NatsDenied "NATS_DENIED" Permanent Deployment Operator OnChange
        "NATS does not allow what is needed"
        "The NATS user is unknown or its password wrong, it lacks a subject, or a stream is missing that it may only use"
        "Correct the user and password where the detail names them; give the user the subjects that are printed by: postroad nats permissions; make the streams that roles share by: postroad nats prepare";
    NatsWithoutJetstream "NATS_WITHOUT_JETSTREAM" Permanent Deployment Operator OnChange
        "The NATS server has no JetStream"
        "JetStream is not enabled for the server or the account"
        "Start nats-server with --jetstream and a storage directory";
    SealingKeyMissing "SEALING_KEY_MISSING" Permanent Deployment Operator OnChange
        "No sealing key is configured"
        "Neither a key file nor the environment variable is set"
        "Set sealing.key_file, or the variable POSTROAD_SEALING_KEY; make one with: postroad key new";
    SealingKeyWrong "SEALING_KEY_WRONG" Permanent Deployment Operator OnChange
        "A sealed credential cannot be opened with the configured key"
        "The key is another one than it was sealed with, under the same id"
        "Configure the key with the id named in the detail, or enter the password again";
    ConfigurationInvalid "CONFIGURATION_INVALID" Permanent Deployment Operator OnChange
        "The configuration is not valid"
        "A setting is missing, misspelt or out of its range"
        "Correct the setting named in the detail";
    CertificateUnusable "CERTIFICATE_UNUSABLE" Permanent Deployment Operator OnChange
        "A certificate, key or authority of Postroad's own cannot be used"
        "The file cannot be read, certificate and key do not belong together, or the certificate does not carry the name it needs"
        "Correct the file named in the detail; it is read again by itself when it changes";
    CertificateExpires "CERTIFICATE_EXPIRES" Permanent Deployment Operator OnChange
        "A certificate of Postroad's own ends soon, or has ended"
        "It was not renewed; whatever renews certificates does not run, or writes to another file"
        "Renew the certificate; the new file is read by itself";
    CallerUnknown "CALLER_UNKNOWN" Permanent Deployment Operator OnChange
        "The call did not say who makes it"
        "It came with neither a token nor a client certificate: the file of the local token was not found or cannot be read by this user, or a proxy dropped it"
        "On the machine where Postroad runs, name its configuration by --config, as the user that it runs as; elsewhere put an access token of your issuer into a file and name that by --token-file or POSTROAD_TOKEN_FILE, or set a client certificate under [tls]";
    AccessTokenRefused "ACCESS_TOKEN_REFUSED" Permanent Deployment Operator OnChange
        "The token that came with the call does not hold"
        "It has expired, was made by another issuer or for another audience, or is the local token of another deployment"
        "Get a new access token for the audience of [access.oidc]; for the local token, name the configuration of the very deployment by --config";
    AccessDenied "ACCESS_DENIED" Permanent Deployment Operator OnChange
        "The caller may not do this"
        "What the caller was granted does not include it"
        "Ask an administrator of Postroad to grant what the detail names: in the issuer's claim, or under [access] of the configuration";
    IssuerUnavailable "ISSUER_UNAVAILABLE" Transient Deployment Operator Growing
        "The keys of the issuer of access tokens cannot be had"
        "The issuer does not answer, its certificate is not trusted, or access.oidc.issuer is not its name"
        "Check that access.oidc.issuer answers below /.well-known/openid-configuration from where Postroad runs, and set access.oidc.authority_file for a private authority; meanwhile the local token and client certificates still count";
    CallUnknown "CALL_UNKNOWN" Permanent Deployment Operator OnChange
        "There is no such call"
        "The caller belongs to another version of Postroad, or means another server"
        "Use the command line of the same version as the roles, and check the endpoints";
    NotificationFailed "NOTIFICATION_FAILED" Transient Deployment Operator Growing
        "The notification mail could not be sent"
        "The SMTP relay is unreachable or refuses the message"
        "Check the section alert.smtp of the configuration with: postroad doctor";
    Internal "INTERNAL" Transient Deployment Developer Growing
        "Postroad failed in a way that it does not expect"
        "A defect of Postroad"
        "Report it with the log of the role";
    // Refused input.
    FieldRequired "FIELD_REQUIRED" Permanent Input Administrator OnChange
        "A required field is empty" "The field was not filled in" "Fill in the field";
    FieldTooLong "FIELD_TOO_LONG" Permanent Input Administrator OnChange
        "A text is too long" "The field has a limited length" "Shorten the text";
    FieldUnknown "FIELD_UNKNOWN" Permanent Input Administrator OnChange
        "The field does not exist or cannot be changed" "A misspelt name in the update mask or file" "Use a name from the field's documentation";
    FieldNotApplicable "FIELD_NOT_APPLICABLE" Permanent Input Administrator OnChange
        "The field does not apply here" "Another field's value excludes it" "Leave the field empty, or change the field that excludes it";
    ValueOutOfRange "VALUE_OUT_OF_RANGE" Permanent Input Administrator OnChange
        "A number is out of its range" "The field has a smallest and a largest value" "Use a value within the range";
    LocationNotHttps "LOCATION_NOT_HTTPS" Permanent Input Administrator OnChange
        "The server location does not start with https" "TLS is mandatory (setup guide, Auto Discover Server Location set to No)"
        "Enter the location as https://HOST/EWS/Exchange.asmx";
    LocationInvalid "LOCATION_INVALID" Permanent Input Administrator OnChange
        "The server location is not a valid address" "The host, port or path cannot be read" "Enter the location as https://HOST/EWS/Exchange.asmx";
    UserNameNotUpn "USER_NAME_NOT_UPN" Permanent Input Administrator OnChange
        "The user name is not in the form user@domain" "Exchange finds the account by its user principal name; DOMAIN\\user fails later with ErrorNonExistentMailbox"
        "Enter the user name as user@domain";
    AddressInvalid "ADDRESS_INVALID" Permanent Input Administrator OnChange
        "The email address is not valid" "It has no @, or its local part or domain is malformed" "Enter an address such as name@example.com";
    OwnerUnknown "OWNER_UNKNOWN" Permanent Input Administrator OnChange
        "The owner is not a user of the CRM" "No user has this id or address" "Load the user into the CRM first, or name another owner";
    RegardingUnknown "REGARDING_UNKNOWN" Permanent Input Administrator OnChange
        "The user or queue of the mailbox does not exist in the CRM" "No record has this id or address" "Load the record into the CRM first, or name another one";
    HostPatternInvalid "HOST_PATTERN_INVALID" Permanent Input Administrator OnChange
        "A released host is not a host name or pattern" "It is no full name, an address, or a name under which anybody can register"
        "Enter a host such as mail.contoso.com, *.hoster.example or mail.contoso.com:8443";
    TrustAnchorInvalid "TRUST_ANCHOR_INVALID" Permanent Input Administrator OnChange
        "A trust anchor is not a certificate in PEM form" "The text is no PEM, or its content is no X.509 certificate"
        "Give the authority's certificate as PEM, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----";
    SystemTlsNotBuilt "SYSTEM_TLS_NOT_BUILT" Permanent Input Operator OnChange
        "The profile asks for the system's TLS, and this Postroad was built without it"
        "The system's TLS is for old servers and is not part of the usual build"
        "Install a Postroad that was built with the feature legacy-tls, or choose the usual TLS for the profile";
    TimeInvalid "TIME_INVALID" Permanent Input Administrator OnChange
        "The date is not valid" "It cannot be read, or it is out of range" "Use a form such as 2026-01-31T00:00:00Z";
    IdInvalid "ID_INVALID" Permanent Input Administrator OnChange
        "The identifier is not valid" "It is no UUID" "Use the id as it is listed";
    NameTaken "NAME_TAKEN" Permanent Input Administrator OnChange
        "The name is in use" "Another profile has this name" "Choose another name";
    AddressTaken "ADDRESS_TAKEN" Permanent Input Administrator OnChange
        "The email address is in use" "Another mailbox has this address; a real mailbox maps to one" "Change or remove the other mailbox first";
    RegardingTaken "REGARDING_TAKEN" Permanent Input Administrator OnChange
        "The user or queue has a mailbox already" "A user and a queue have at most one mailbox each" "Edit the existing mailbox";
    ProfileInUse "PROFILE_IN_USE" Permanent Input Administrator OnChange
        "The profile is used by mailboxes" "A profile cannot be deleted while mailboxes are associated with it" "Associate the mailboxes with another profile first";
    NotFound "NOT_FOUND" Permanent Input Administrator OnChange
        "There is nothing with this name or id" "It was deleted, or the name is misspelt" "List what exists and use a name or id from there";
    EtagStale "ETAG_STALE" Permanent Input Administrator OnChange
        "It was changed by somebody else since it was read" "The etag is not the current one" "Read it again, and repeat the change on what is there now";
    PageTokenInvalid "PAGE_TOKEN_INVALID" Permanent Input Administrator OnChange
        "The page token is not valid" "It was not issued by this call" "Start again without a page token";
    StateConflict "STATE_CONFLICT" Permanent Input Administrator OnChange
        "The state does not allow it" "Something else has to happen first, named in the detail" "Do what the detail names first";
    NotOwner "NOT_OWNER" Transient Deployment Nobody Growing
        "The mailbox belongs to another worker now" "Its lease was taken over" "Nothing to do; the owner goes on";
    JournalNewer "JOURNAL_NEWER" Transient Deployment Operator Growing
        "The journal holds what this version of Postroad cannot read"
        "During an upgrade a newer process wrote what this older one does not know; after a return to an older version, all of it does"
        "Finish the upgrade: let every role run the newest version that ever wrote to this journal. Until then what is named is let alone, nothing is lost";
    SealingKeyLost "SEALING_KEY_LOST" Permanent Deployment Operator OnChange
        "A sealed credential needs a sealing key that is not configured"
        "The key was removed, or never given to this process, before everything sealed with it was sealed anew"
        "Restore the key with the id named in the detail (sealing.former_keys, or the keys' directory) and run: postroad key reseal. If it is gone for good, enter the passwords of the profiles and mailboxes named again";
    EmailErased "EMAIL_ERASED" Permanent Input Administrator OnChange
        "The email was erased with a person whom it concerned"
        "Somebody ran postroad person erase for the sender or a recipient; nothing of the email is kept"
        "Nothing to do; it does not come back";
    ErasureIncomplete "ERASURE_INCOMPLETE" Transient Deployment Operator Growing
        "What is left of erased email could not be deleted from the journal"
        "NATS does not answer, or the stream forbids deletion because a version before erasure made it"
        "Make NATS answer; the crm role tries again each minute. A stream with deny_delete has to be made anew from a backup without that setting";
    JournalLayout "JOURNAL_LAYOUT" Permanent Deployment Operator OnChange
        "The journal's streams are not as this version keeps them"
        "A build of before the first release kept the whole journal in one stream, another stream of the NATS account holds the journal's subjects, or a role has come to an account of its own and its stream has not"
        "Use a NATS account that holds no such stream; move a role's stream into the role's account by: nats stream backup, nats stream restore (README, Securing); or, if what is in it may be lost, stop all roles, remove the stream named in the detail by: nats stream rm; then make the streams by: postroad nats prepare";
    FileUnusable "FILE_UNUSABLE" Permanent Input Administrator OnChange
        "A file that the command names cannot be read or made"
        "It does not exist, or exists already where a new one is made, or this user may not read or write there"
        "Correct the path, name another file, or let this user read or write there";
}
