// SPDX-License-Identifier: Apache-2.0
/* Data: operation, models with which it cannot pass (NULL = any), reason. */
{"geo-routes:CalculateIsolines", "botocore 1.43.11", "an older model: another path"},
    {"geo-routes:CalculateRouteMatrix", "botocore 1.43.11", "an older model: another path"},
    {"geo-routes:OptimizeWaypoints", "botocore 1.43.11", "an older model: another path"},
    {"route53globalresolver:ListHostedZoneAssociations", "botocore 1.43.11",
     "an older model: another path"},
    {"inspector2:GetConfiguration", "botocore 1.43.11", "an older model: no input"},
    {"chime-sdk-voice:CreatePhoneNumberOrder", "botocore 1.43.11",
     "an older model: FocDate is a date"},
    {"chime-sdk-voice:GetPhoneNumberOrder", "botocore 1.43.11",
     "an older model: FocDate is a date"},
