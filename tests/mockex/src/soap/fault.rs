//! SOAP faults: answers to the whole request, with HTTP status 500.

use super::xml::Xml;
use crate::fault::BusyForm;

const TYPES: &str = "http://schemas.microsoft.com/exchange/services/2006/types";
const ERRORS: &str = "http://schemas.microsoft.com/exchange/services/2006/errors";

/// A fault with its code, text and the details of its `MessageXml`.
#[derive(Clone, Debug)]
pub struct SoapFault {
    pub code: String,
    pub text: String,
    /// Name and value pairs.
    pub details: Vec<(&'static str, String)>,
    /// Line, column and violation of a request that broke the schema.
    pub violation: Option<(usize, usize, String)>,
    /// Whether the details stand in the errors namespace, and the header is missing.
    pub in_errors_namespace: bool,
}

impl SoapFault {
    pub fn new(code: &str) -> Self {
        Self {
            code: code.to_owned(),
            text: message_text(code).to_owned(),
            details: Vec::new(),
            violation: None,
            in_errors_namespace: false,
        }
    }

    pub fn busy(back_off_milliseconds: u64, form: BusyForm) -> Self {
        let mut fault = Self::new("ErrorServerBusy").with("BackOffMilliseconds", back_off_milliseconds.to_string());
        fault.in_errors_namespace = form == BusyForm::FaultErrors;
        fault
    }

    pub fn schema_validation(line: usize, column: usize, violation: String) -> Self {
        let mut fault = Self::new("ErrorSchemaValidation");
        fault.text = format!("The request failed schema validation: {violation}");
        fault.violation = Some((line, column, violation));
        fault
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: String) -> Self {
        self.details.push((name, value));
        self
    }

    /// The `s:Fault` element.
    pub fn to_xml(&self) -> String {
        let mut xml = Xml::new();
        xml.open("s:Fault");
        xml.text_with("faultcode", &[("xmlns:a", TYPES)], &format!("a:{}", self.code));
        xml.text_with("faultstring", &[("xml:lang", "en-US")], &self.text);
        xml.open("detail");
        let errors: &[(&str, &str)] = &[("xmlns:e", ERRORS)];
        xml.text_with("e:ResponseCode", errors, &self.code);
        xml.text_with("e:Message", errors, &self.text);
        if let Some((line, column, _)) = &self.violation {
            xml.text_with("e:Line", errors, &line.to_string());
            xml.text_with("e:Position", errors, &column.to_string());
        }
        self.write_details(&mut xml);
        xml.close("detail");
        xml.close("s:Fault");
        xml.into_string()
    }

    fn write_details(&self, xml: &mut Xml) {
        let mut values: Vec<(&str, String)> = Vec::new();
        if let Some((line, column, violation)) = &self.violation {
            values.extend([
                ("LineNumber", line.to_string()),
                ("LinePosition", column.to_string()),
                ("Violation", violation.clone()),
            ]);
        }
        values.extend(self.details.iter().map(|(name, value)| (*name, value.clone())));
        if values.is_empty() {
            return;
        }
        let (wrapper, own, inner): (&str, (&str, &str), &[(&str, &str)]) = if self.in_errors_namespace {
            ("e:MessageXml", ("xmlns:e", ERRORS), &[("xmlns:t", TYPES)])
        } else {
            ("t:MessageXml", ("xmlns:t", TYPES), &[])
        };
        xml.open_with(wrapper, &[own]);
        for (name, value) in &values {
            let attributes: Vec<_> = inner.iter().copied().chain([("Name", *name)]).collect();
            xml.text_with("t:Value", &attributes, value);
        }
        xml.close(wrapper);
    }
}

/// A short English text for a response code. Clients must not match on it.
pub fn message_text(code: &str) -> &'static str {
    match code {
        "ErrorServerBusy" => "The server cannot service this request right now. Try again later.",
        "ErrorInvalidServerVersion" => "The specified server version is invalid.",
        "ErrorIncorrectSchemaVersion" => {
            "The request is valid but does not specify the correct server version in the RequestServerVersion SOAP header.  Ensure that the RequestServerVersion header is set with the correct RequestServerVersionValue."
        }
        "ErrorImpersonateUserDenied" => "The account does not have permission to impersonate the requested user.",
        "ErrorNonExistentMailbox" => "No mailbox with such guid.",
        "ErrorNonPrimarySmtpAddress" => "The primary SMTP address must be specified when referencing a mailbox.",
        "ErrorInvalidExchangeImpersonationHeaderData" => "The ExchangeImpersonation header data is invalid.",
        "ErrorAccountDisabled" => "The account is disabled.",
        "ErrorMissingEmailAddress" => {
            "When making a request as an account that does not have a mailbox, you must specify the mailbox primary SMTP address for any distinguished folder Ids."
        }
        "ErrorExceededConnectionCount" => {
            "You have exceeded the available concurrent connections for your account.  Try again once your other requests have completed."
        }
        "ErrorMailboxStoreUnavailable" => "The mailbox database is temporarily unavailable.",
        "ErrorMailboxMoveInProgress" => "Mailbox move in progress. Try again later.",
        "ErrorCrossSiteRequest" => "The request can't be processed because the mailbox is in another site.",
        "ErrorNoRespondingCASInDestinationSite" => {
            "Exchange Web Services are not currently available for this request because none of the Client Access Servers in the destination site could process the request."
        }
        "ErrorBatchProcessingStopped" => "Batch processing stopped.",
        "ErrorInternalServerError" => "An internal server error occurred. The operation failed.",
        "ErrorFolderNotFound" => "The specified folder could not be found in the store.",
        "ErrorSyncFolderNotFound" => "The folder to synchronize could not be found.",
        "ErrorItemNotFound" => "The specified object was not found in the store.",
        "ErrorItemCorrupt" => "The state of the object is corrupt.",
        "ErrorContentConversionFailed" | "ErrorMimeContentConversionFailed" => "Content conversion failed.",
        "ErrorInvalidSyncStateData" => "Synchronization state data is corrupt or otherwise invalid.",
        "ErrorInvalidIdMalformed" => "Id is malformed.",
        "ErrorAccessDenied" => "Access is denied. Check credentials and try again.",
        "ErrorFolderExists" => "A folder with the specified name already exists.",
        "ErrorStaleObject" => {
            "The send or update operation could not be performed because the change key passed in the request does not match the current change key for the item."
        }
        "ErrorIrresolvableConflict" => {
            "The send or update operation could not be performed because the change key passed in the request does not match the current change key for the item."
        }
        "ErrorToFolderNotFound" => "The destination folder could not be found.",
        "ErrorInvalidAttachmentId" => "The specified attachment Id is invalid.",
        "ErrorSendAsDenied" => {
            "The user account which was used to submit this request does not have the right to send mail on behalf of the specified sending account."
        }
        "ErrorInvalidRecipients" => "At least one recipient isn't valid.",
        "ErrorNameResolutionNoResults" => "No results were found.",
        "ErrorNameResolutionMultipleResults" => "Multiple results were found.",
        "ErrorUnsupportedPathForQuery" => "The property can not be used with this type of restriction.",
        "ErrorMissingRecipients" => "The message has no recipients.",
        "ErrorMessageSizeExceeded" => "The message exceeds the maximum supported size.",
        "ErrorMessageDispositionRequired" => "Message disposition is required for a message.",
        "ErrorChangeKeyRequiredForWriteOperations" => "A change key is required for this operation.",
        "ErrorInvalidChangeKey" => "The change key is invalid.",
        "ErrorInvalidSendItemSaveSettings" => "A folder was given for a copy that is not to be saved.",
        "ErrorQuotaExceeded" => "The mailbox quota has been exceeded.",
        _ => "The request failed.",
    }
}
