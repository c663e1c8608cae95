//! Every response code of the newest schema (V2018_01_08), by what the engine does about it; MS-OXWSCDATA, ResponseCodeType,
//! and the one misspelling that servers are documented to send.

use super::Class;

macro_rules! codes {
    ($( $class:ident: $($code:ident)*; )*) => {
        /// A response code that the schema lists, under its own name.
        #[expect(missing_docs, reason = "the names are Exchange's own and say what they mean")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Known { $( $( $code, )* )* }

        impl Known {
            /// Every code.
            pub const ALL: &'static [Self] = &[$( $( Self::$code, )* )*];

            /// The code as it stands on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( $( Self::$code => stringify!($code), )* )* }
            }

            /// What the engine does about it.
            #[must_use]
            pub const fn class(self) -> Class {
                match self { $( $( Self::$code )|* => Class::$class, )* }
            }
        }
    };
}

codes! {
    Success:
        NoError;
    Throttled:
        ErrorExceededConnectionCount ErrorExceededSubscriptionCount ErrorExceededFindCountLimit
        ErrorInsufficientResources ErrorNotEnoughMemory ErrorServerBusy ErrorSubmissionQuotaExceeded
        ErrorTooManyObjectsOpened ErrorExceededMessageLimit ErrorExceededMaxRecipientLimitBlock
        ErrorExceededMaxRecipientLimit;
    Transient:
        ErrorADOperation ErrorADUnavailable ErrorServiceUnavailable ErrorClientDisconnected ErrorConnectionFailed
        ErrorDataSourceOperation ErrorFreeBusyGenerationFailed ErrorInternalServerTransientError
        ErrorMailboxLogonFailed ErrorProxyRequestProcessingFailed ErrorPublicFolderOperationFailed ErrorRequestAborted
        ErrorTimeoutExpired ErrorWin32InteropError ErrorMessageTrackingTransientError;
    Rediscover:
        ErrorAutoDiscoverFailed ErrorCrossSiteRequest ErrorInvalidCrossForestCredentials
        ErrorInvalidNetworkServiceContext ErrorMailboxMoveInProgress ErrorMailboxStoreUnavailable
        ErrorNoApplicableProxyCASServersAvailable ErrorNoDestinationCASDueToKerberosRequirements
        ErrorNoDestinationCASDueToSSLRequirements ErrorNoDestinationCASDueToVersionMismatch
        ErrorNoRespondingCASInDestinationSite ErrorProxiedSubscriptionCallFailure ErrorProxyCallFailed
        ErrorProxyGroupSidLimitExceeded ErrorProxyRequestNotAllowed ErrorProxyServiceDiscoveryFailed
        ErrorProxyTokenExpired ErrorServiceDiscoveryFailed ErrorWrongServerVersion ErrorWrongServerVersionDelegate
        ErrorMailboxFailover;
    Version:
        ErrorIncorrectSchemaVersion ErrorInvalidSchemaVersionForMailboxVersion ErrorInvalidServerVersion
        ErrorSchemaValidation;
    Auth:
        ErrorAccessDenied ErrorAccountDisabled ErrorCallerIsInvalidADAccount ErrorCreateItemAccessDenied
        ErrorCreateSubfolderAccessDenied ErrorImpersonateUserDenied ErrorImpersonationDenied ErrorImpersonationFailed
        ErrorInvalidAuthorizationContext ErrorInvalidClientSecurityContext ErrorInvalidLogonType
        ErrorInvalidSerializedAccessToken ErrorPasswordChangeRequired ErrorPasswordExpired
        ErrorInvalidExchangeImpersonationHeaderData ErrorSendAsDenied ErrorSubscriptionAccessDenied
        ErrorSubscriptionDelegateAccessNotSupported ErrorTokenSerializationDenied ErrorInvalidManagementRoleHeader
        ErrorOrganizationAccessBlocked ErrorInvalidLicense ErrorNoOAuthServerAvailableForRequest ErrorAccountSuspend
        ErrorAccessDeniedDueToCompliance ErrorRecoverableItemsAccessDenied;
    Config:
        ErrorCannotFindUser ErrorContentIndexingNotEnabled ErrorDistinguishedUserNotSupported ErrorInvalidMailbox
        ErrorInvalidProxySecurityContext ErrorInvalidSid ErrorInvalidSmtpAddress ErrorInvalidUserPrincipalName
        ErrorInvalidUserSid ErrorInvalidUserSidMissingUPN ErrorLogonAsNetworkServiceFailed ErrorMailboxConfiguration
        ErrorMailTipsDisabled ErrorMissingEmailAddress ErrorNameResolutionNoMailbox ErrorNoCalendar
        ErrorNonExistentMailbox ErrorNonPrimarySmtpAddress ErrorSavedItemFolderNotFound ErrorUnsupportedCulture
        ErrorDuplicateLegacyDistinguishedName ErrorMissingExchangePrincipal;
    Resync:
        ErrorEventNotFound ErrorExpiredSubscription ErrorInvalidPullSubscriptionId ErrorInvalidSubscription
        ErrorInvalidSyncStateData ErrorInvalidWatermark ErrorReadEventsFailed ErrorSubscriptionNotFound
        ErrorSubscriptionUnsubscribed ErrorSyncFolderNotFound ErrorNewEventStreamConnectionOpened
        ErrorMissedNotificationEvents ErrorSubscriptionUnsubsribed;
    Conflict:
        ErrorCalendarMeetingRequestIsOutOfDate ErrorChangeKeyRequired ErrorChangeKeyRequiredForWriteOperations
        ErrorInvalidChangeKey ErrorInvalidPropertyUpdateSentMessage ErrorIrresolvableConflict ErrorObjectTypeChanged
        ErrorSentMeetingRequestUpdate ErrorSentTaskRequestUpdate ErrorStaleObject;
    Gone:
        ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange ErrorCalendarOccurrenceIsDeletedFromRecurrence
        ErrorCannotAccessDeletedPublicFolder ErrorFolderNotFound ErrorInvalidAttachmentId ErrorItemNotFound
        ErrorLocalServerObjectNotFound ErrorParentFolderNotFound ErrorToFolderNotFound ErrorCannotFindFileAttachment;
    Quota:
        ErrorAttachmentSizeLimitExceeded ErrorDataSizeLimitExceeded ErrorMessageSizeExceeded ErrorQuotaExceeded
        ErrorRequestStreamTooBig ErrorResultSetTooBig ErrorRulesOverQuota
        ErrorMessagePerFolderCountReceiveQuotaExceeded ErrorQuotaExceededOnDelete;
    ItemPermanent:
        ErrorAttachmentNestLevelLimitExceeded ErrorCalendarCannotMoveOrCopyOccurrence
        ErrorCalendarCannotUpdateDeletedItem ErrorCalendarInvalidPropertyState ErrorCalendarIsCancelledForAccept
        ErrorCalendarIsCancelledForDecline ErrorCalendarIsCancelledForRemove ErrorCalendarIsCancelledForTentative
        ErrorCalendarIsDelegatedForAccept ErrorCalendarIsDelegatedForDecline ErrorCalendarIsDelegatedForRemove
        ErrorCalendarIsDelegatedForTentative ErrorCalendarIsNotOrganizer ErrorCalendarIsOrganizerForAccept
        ErrorCalendarIsOrganizerForDecline ErrorCalendarIsOrganizerForRemove ErrorCalendarIsOrganizerForTentative
        ErrorCannotDeleteObject ErrorCannotOpenFileAttachment ErrorCannotDeleteTaskOccurrence
        ErrorContentConversionFailed ErrorCorruptData ErrorDeleteItemsFailed ErrorFolderCorrupt
        ErrorFolderPropertRequestFailed ErrorFolderSave ErrorFolderSaveFailed ErrorFolderSavePropertyError
        ErrorInvalidIdTooManyAttachmentLevels ErrorInvalidRecipients ErrorItemCorrupt ErrorItemPropertyRequestFailed
        ErrorItemSave ErrorItemSavePropertyError ErrorMailRecipientNotFound ErrorMimeContentConversionFailed
        ErrorMimeContentInvalid ErrorMimeContentInvalidBase64String ErrorMissingRecipients ErrorMoveCopyFailed
        ErrorNameResolutionNoResults ErrorPropertyUpdate ErrorRecurrenceHasNoOccurrence ErrorResponseSchemaValidation
        ErrorUnsupportedMimeConversion ErrorUnsupportedTypeForConversion ErrorVirusDetected ErrorVirusMessageDeleted
        ErrorMessageSubmissionBlocked ErrorMessageBlocked ErrorCalendarForwardActionNotAllowed;
    Warning:
        ErrorBatchProcessingStopped ErrorCreateManagedFolderPartialCompletion ErrorFolderExists
        ErrorNameResolutionMultipleResults;
    Generic:
        ErrorInternalServerError;
    RequestBug:
        ErrorAccessModeSpecified ErrorAffectedTaskOccurrencesRequired ErrorCalendarCannotUseIdForOccurrenceId
        ErrorCalendarCannotUseIdForRecurringMasterId ErrorCalendarDurationIsTooLong
        ErrorCalendarEndDateIsEarlierThanStartDate ErrorCalendarFolderIsInvalidForCalendarView
        ErrorCalendarInvalidAttributeValue ErrorCalendarInvalidDayForTimeChangePattern
        ErrorCalendarInvalidDayForWeeklyRecurrence ErrorCalendarInvalidPropertyValue ErrorCalendarInvalidRecurrence
        ErrorCalendarInvalidTimeZone ErrorCalendarOutOfRange ErrorCalendarViewRangeTooBig
        ErrorCannotCreateCalendarItemInNonCalendarFolder ErrorCannotCreateContactInNonContactFolder
        ErrorCannotCreatePostItemInNonMailFolder ErrorCannotCreateTaskInNonTaskFolder ErrorCannotEmptyFolder
        ErrorCannotSpecifySearchFolderAsSourceFolder ErrorCannotUseFolderIdForItemId ErrorCannotUseItemIdForFolderId
        ErrorContainsFilterWrongType ErrorCrossMailboxMoveCopy ErrorDeleteDistinguishedFolder
        ErrorDuplicateInputFolderNames ErrorDuplicateTransactionId ErrorIncorrectUpdatePropertyCount
        ErrorInvalidArgument ErrorInvalidAttachmentSubfilter ErrorInvalidAttachmentSubfilterTextFilter
        ErrorInvalidCompleteDate ErrorInvalidContactEmailAddress ErrorInvalidContactEmailIndex
        ErrorInvalidExcludesRestriction ErrorInvalidExpressionTypeForSubFilter ErrorInvalidExtendedProperty
        ErrorInvalidExtendedPropertyValue ErrorInvalidFolderId ErrorInvalidFolderTypeForOperation
        ErrorInvalidFractionalPagingParameters ErrorInvalidFreeBusyViewType ErrorInvalidId ErrorInvalidIdEmpty
        ErrorInvalidIdMalformed ErrorInvalidIdMalformedEwsLegacyIdFormat ErrorInvalidIdMonikerTooLong
        ErrorInvalidIdNotAnItemAttachmentId ErrorInvalidIdReturnedByResolveNames ErrorInvalidIdStoreObjectIdTooLong
        ErrorInvalidIdXml ErrorInvalidIndexedPagingParameters ErrorInvalidInternetHeaderChildNodes
        ErrorInvalidItemForOperationCreateItemAttachment ErrorInvalidItemForOperationCreateItem
        ErrorInvalidItemForOperationAcceptItem ErrorInvalidItemForOperationDeclineItem
        ErrorInvalidItemForOperationCancelItem ErrorInvalidItemForOperationExpandDL
        ErrorInvalidItemForOperationRemoveItem ErrorInvalidItemForOperationSendItem
        ErrorInvalidItemForOperationTentative ErrorInvalidMergedFreeBusyInterval ErrorInvalidNameForNameResolution
        ErrorInvalidOperation ErrorInvalidPagingMaxRows ErrorInvalidParentFolder ErrorInvalidPercentCompleteValue
        ErrorInvalidPropertyAppend ErrorInvalidPropertyDelete ErrorInvalidPropertyForExists
        ErrorInvalidPropertyForOperation ErrorInvalidPropertyRequest ErrorInvalidPropertySet
        ErrorInvalidPushSubscriptionUrl ErrorInvalidRecipientSubfilter ErrorInvalidRecipientSubfilterComparison
        ErrorInvalidRecipientSubfilterOrder ErrorInvalidRecipientSubfilterTextFilter ErrorInvalidReferenceItem
        ErrorInvalidRequest ErrorInvalidRestriction ErrorInvalidRoutingType ErrorInvalidSendItemSaveSettings
        ErrorInvalidSubfilterType ErrorInvalidSubfilterTypeNotAttendeeType ErrorInvalidSubfilterTypeNotRecipientType
        ErrorInvalidSubscriptionRequest ErrorInvalidTimeInterval ErrorInvalidValueForProperty
        ErrorMailboxDataArrayEmpty ErrorMailboxDataArrayTooBig ErrorMessageDispositionRequired ErrorMissingArgument
        ErrorMissingInformationEmailAddress ErrorMissingInformationReferenceItemId
        ErrorMissingItemForCreateItemAttachment ErrorMissingUserIdInformation ErrorMoreThanOneAccessModeSpecified
        ErrorMoveDistinguishedFolder ErrorMultiLegacyMailboxAccess ErrorNoFolderClassOverride
        ErrorNoPropertyTagForCustomProperties ErrorOccurrenceCrossingBoundary ErrorOccurrenceTimeSpanTooBig
        ErrorParentFolderIdRequired ErrorPropertyValidationFailure ErrorQueryFilterTooLong ErrorReadReceiptNotPending
        ErrorRecurrenceEndDateTooBig ErrorRequiredPropertyMissing ErrorResolveNamesInvalidFolderType
        ErrorResolveNamesOnlyOneContactsFolderAllowed ErrorRestrictionTooLong ErrorRestrictionTooComplex
        ErrorSearchFolderNotInitialized ErrorSendMeetingCancellationsRequired
        ErrorSendMeetingInvitationsOrCancellationsRequired ErrorSendMeetingInvitationsRequired ErrorTimeIntervalTooBig
        ErrorTimeZone ErrorUpdatePropertyMismatch ErrorUnsupportedSubFilter ErrorUnsupportedMapiPropertyType
        ErrorUnsupportedPathForQuery ErrorUnsupportedPathForSortGroup ErrorUnsupportedPropertyDefinition
        ErrorUnsupportedQueryFilter ErrorUnsupportedRecurrence ErrorValueOutOfRange ErrorDuplicateSOAPHeader
        ErrorCalendarSeekToConditionNotSupported ErrorInvalidValueForFilter;
    Unrelated:
        ErrorAddDelegatesFailed ErrorAddressSpaceNotFound ErrorADSessionFilter ErrorArchiveFolderPathCreation
        ErrorArchiveMailboxNotEnabled ErrorArchiveMailboxServiceDiscoveryFailed ErrorAvailabilityConfigNotFound
        ErrorCannotArchiveCalendarContactTaskFolderException ErrorCannotArchiveItemsInPublicFolders
        ErrorCannotArchiveItemsInArchiveMailbox ErrorCannotDisableMandatoryExtension ErrorCannotGetSourceFolderPath
        ErrorCannotGetExternalEcpUrl ErrorCannotSetCalendarPermissionOnNonCalendarFolder
        ErrorCannotSetNonCalendarPermissionOnCalendarFolder ErrorCannotSetPermissionUnknownEntries
        ErrorClientIntentInvalidStateDefinition ErrorClientIntentNotFound ErrorDelegateAlreadyExists
        ErrorDelegateCannotAddOwner ErrorDelegateMissingConfiguration ErrorDelegateNoUser
        ErrorDelegateValidationFailed ErrorDeleteUnifiedMessagingPromptFailed ErrorDistributionListMemberNotExist
        ErrorDuplicateUserIdsSpecified ErrorEmailAddressMismatch ErrorExtensionNotFound ErrorExtensionsNotAuthorized
        ErrorGetServerSecurityDescriptorFailed ErrorImContactLimitReached ErrorImGroupDisplayNameAlreadyExists
        ErrorImGroupLimitReached ErrorIndividualMailboxLimitReached ErrorInvalidAccessLevel
        ErrorInvalidDelegatePermission ErrorInvalidDelegateUserId ErrorInvalidImContactId
        ErrorInvalidImDistributionGroupSmtpAddress ErrorInvalidImGroupId ErrorInvalidItemForOperationArchiveItem
        ErrorInvalidLikeRequest ErrorInvalidManagedFolderProperty ErrorInvalidManagedFolderQuota
        ErrorInvalidManagedFolderSize ErrorInvalidOofParameter ErrorInvalidPermissionSettings ErrorInvalidPhoneCallId
        ErrorInvalidPhoneNumber ErrorInvalidUserInfo ErrorInvalidRetentionTagTypeMismatch
        ErrorInvalidRetentionTagInvisible ErrorInvalidRetentionTagInheritance ErrorInvalidRetentionTagIdGuid
        ErrorInvalidScheduledOofDuration ErrorInvalidSecurityDescriptor ErrorInvalidSIPUri ErrorInvalidUserOofSettings
        ErrorIPGatewayNotFound ErrorLegacyMailboxFreeBusyViewTypeNotMerged ErrorMailboxHoldNotFound
        ErrorManagedFolderAlreadyExists ErrorManagedFolderNotFound ErrorManagedFoldersRootFailure
        ErrorMeetingSuggestionGenerationFailed ErrorMissingEmailAddressForManagedFolder ErrorMissingManagedFolderId
        ErrorMoveUnifiedGroupPropertyFailed ErrorNoFreeBusyAccess ErrorNoPublicFolderReplicaAvailable
        ErrorNoPublicFolderServerAvailable ErrorNotDelegate ErrorOperationNotAllowedWithPublicFolderRoot
        ErrorPhoneNumberNotDialable ErrorPromptPublishingOperationFailed ErrorPublicFolderMailboxDiscoveryFailed
        ErrorPublicFolderRequestProcessingFailed ErrorPublicFolderServerNotFound ErrorPublicFolderSyncException
        ErrorRemoveDelegatesFailed ErrorTeamMailboxNotFound ErrorTeamMailboxNotLinkedToSharePoint
        ErrorTeamMailboxUrlValidationFailed ErrorTeamMailboxNotAuthorizedOwner ErrorTeamMailboxActiveToPendingDelete
        ErrorTeamMailboxFailedSendingNotifications ErrorTeamMailboxErrorUnknown
        ErrorAccessingPartialCreatedUnifiedGroup ErrorUnifiedGroupMailboxAADCreationFailed
        ErrorUnifiedGroupMailboxAADDeleteFailed ErrorUnifiedGroupMailboxNamingPolicy
        ErrorUnifiedGroupMailboxDeleteFailed ErrorUnifiedGroupMailboxNotFound ErrorUnifiedGroupMailboxUpdateDelayed
        ErrorUnifiedGroupMailboxUpdatedPartialProperties ErrorUnifiedGroupMailboxUpdateFailed
        ErrorUnifiedGroupMailboxProvisionFailed ErrorUnifiedMessagingDialPlanNotFound
        ErrorUnifiedMessagingReportDataNotFound ErrorUnifiedMessagingPromptNotFound ErrorUnifiedMessagingRequestFailed
        ErrorUnifiedMessagingServerNotFound ErrorUnableToGetUserOofSettings ErrorUnableToRemoveImContactFromGroup
        ErrorUpdateDelegatesFailed ErrorUserNotUnifiedMessagingEnabled ErrorVoiceMailNotImplemented
        ErrorWebRequestInInvalidState ErrorWorkingHoursSaveFailed ErrorWorkingHoursXmlMalformed
        ErrorMissingInformationSharingFolderId ErrorSharingSynchronizationFailed ErrorSharingNoExternalEwsAvailable
        ErrorFreeBusyDLLimitReached ErrorInvalidGetSharingFolderRequest ErrorNotAllowedExternalSharingByPolicy
        ErrorUserNotAllowedByPolicy ErrorPermissionNotAllowedByPolicy ErrorOrganizationNotFederated
        ErrorInvalidExternalSharingInitiator ErrorMessageTrackingPermanentError ErrorMessageTrackingNoSuchDomain
        ErrorUserWithoutFederatedProxyAddress ErrorInvalidOrganizationRelationshipForFreeBusy
        ErrorInvalidFederatedOrganizationId ErrorInvalidExternalSharingSubscriber ErrorInvalidSharingData
        ErrorInvalidSharingMessage ErrorNotSupportedSharingMessage ErrorApplyConversationActionFailed
        ErrorInboxRulesValidationError ErrorOutlookRuleBlobExists ErrorInvalidClientAccessTokenRequest
        ErrorUnauthorizedClientAccessTokenRequest ErrorNoSpeechDetected ErrorUMServerUnavailable
        ErrorRecipientNotFound ErrorRecognizerNotInstalled ErrorSpeechGrammarError ErrorLocationServicesDisabled
        ErrorLocationServicesRequestTimedOut ErrorLocationServicesRequestFailed ErrorLocationServicesInvalidRequest
        ErrorWeatherServiceDisabled ErrorMailboxScopeNotAllowedWithoutQueryString ErrorArchiveMailboxSearchFailed
        ErrorGetRemoteArchiveFolderFailed ErrorFindRemoteArchiveFolderFailed ErrorGetRemoteArchiveItemFailed
        ErrorExportRemoteArchiveItemsFailed ErrorInvalidPhotoSize ErrorSearchQueryHasTooManyKeywords
        ErrorSearchTooManyMailboxes ErrorInvalidRetentionTagNone ErrorDiscoverySearchesDisabled
        ErrorCalendarIsGroupMailboxForAccept ErrorCalendarIsGroupMailboxForDecline
        ErrorCalendarIsGroupMailboxForTentative ErrorCalendarIsGroupMailboxForSuppressReadReceipt
        ErrorInvalidBulkActionType ErrorInvalidKeepNCount ErrorInvalidKeepNType ErrorInstantSearchSessionExpired
        ErrorInstantSearchTimeout ErrorInstantSearchFailed ErrorUnsupportedUserForExecuteSearch
        ErrorDuplicateExtendedKeywordDefinition ErrorUnexpectedUnifiedGroupsCount ErrorParsingXMLResponse
        ErrorInvalidFederationOrganizationIdentifier ErrorInvalidSweepRule ErrorInvalidSweepRuleOperationType
        ErrorTargetDomainNotSupported ErrorInvalidInternetWebProxyOnLocalServer
        ErrorNoSenderRestrictionsSettingsFoundInRequest ErrorDuplicateSenderRestrictionsInputFound
        ErrorSenderRestrictionsUpdateFailed ErrorAccountSuspendShowTierUpgrade
        ErrorExceededMessageLimitShowTierUpgrade ErrorExceededMaxRecipientLimitShowTierUpgrade ErrorInvalidLongitude
        ErrorInvalidLatitude ErrorProxySoapException ErrorUnifiedGroupAlreadyExists
        ErrorUnifiedGroupAadAuthorizationRequestDenied ErrorUnifiedGroupCreationDisabled
        ErrorMarketPlaceExtensionAlreadyInstalledForOrg ErrorExtensionAlreadyInstalledForOrg
        ErrorNewerExtensionAlreadyInstalled ErrorNewerMarketPlaceExtensionAlreadyInstalled ErrorInvalidExtensionId
        ErrorCannotUninstallProvidedExtensions ErrorNoRbacPermissionToInstallMarketPlaceExtensions
        ErrorNoRbacPermissionToInstallReadWriteMailboxExtensions ErrorInvalidReportMessageActionType
        ErrorCannotDownloadExtensionManifest ErrorUnifiedGroupAliasNamingPolicy ErrorSubscriptionsDisabledForGroup;
}
