# Made by scripts/client-types of the OpenAPI document.
from typing import Any, NotRequired, TypedDict, Union

ActiveMembers = TypedDict("ActiveMembers", {
    "items": list["ActiveMembersRow"],
    "step": str,
    "timeZone": str,
})
ActiveMembersRow = TypedDict("ActiveMembersRow", {
    "bucket": str,
    "members": int,
})
Amounts = TypedDict("Amounts", {
    "items": list["AmountsRow"],
    "measure": str,
    "step": str,
    "timeZone": str,
})
AmountsRow = TypedDict("AmountsRow", {
    "amount": str,
    "bucket": str,
    "events": int,
    "unit": Union[str, None],
})
Checkpoint = TypedDict("Checkpoint", {
    "events": int,
    "hash": str,
    "position": int,
    "takenAt": str,
})
Conversion = TypedDict("Conversion", {
    "conversionRate": Union[float, None],
    "purchases": int,
    "sessions": int,
})
CreditsByMember = TypedDict("CreditsByMember", {
    "items": list["MemberCredits"],
})
Customer = TypedDict("Customer", {
    "currency": Union[str, None],
    "customerId": str,
    "firstSeenAt": Union[str, None],
    "lastActiveAt": Union[str, None],
    "name": Union[str, None],
    "totalSpent": str,
    "transactions": int,
    "userId": str,
})
Customers = TypedDict("Customers", {
    "items": list["Customer"],
    "totalCustomers": int,
})
Delivery = TypedDict("Delivery", {
    "attempts": int,
    "createdAt": str,
    "error": Union[str, None],
    "eventId": str,
    "eventType": str,
    "id": str,
    "lastAttemptAt": Union[str, None],
    "nextAttemptAt": Union[str, None],
    "responseStatus": Union[int, None],
    "status": str,
    "webhookId": str,
})
DeliveryDetail = TypedDict("DeliveryDetail", {
    "attempts": int,
    "createdAt": str,
    "error": Union[str, None],
    "eventId": str,
    "eventType": str,
    "id": str,
    "lastAttemptAt": Union[str, None],
    "nextAttemptAt": Union[str, None],
    "payload": Union[dict[str, Any], None],
    "responseStatus": Union[int, None],
    "status": str,
    "tries": list["Try"],
    "webhookId": str,
})
DeliveryPage = TypedDict("DeliveryPage", {
    "items": list["Delivery"],
    "limit": int,
    "page": int,
    "total": int,
})
DeliveryRetried = TypedDict("DeliveryRetried", {
    "id": str,
    "queued": bool,
})
Event = TypedDict("Event", {
    "action": str,
    "actor": Union["Person", None],
    "actorUserId": Union[str, None],
    "category": str,
    "context": dict[str, Any],
    "description": str,
    "eventType": "EventType",
    "id": str,
    "metadata": Union[dict[str, Any], None],
    "occurredAt": str,
    "onBehalfOf": Union[dict[str, Any], None],
    "recordedAt": str,
    "subject": "Subject",
})
EventPage = TypedDict("EventPage", {
    "hasMore": bool,
    "items": list["Event"],
    "nextCursor": Union[str, None],
    "prevCursor": Union[str, None],
    "total": NotRequired[int],
})
EventType = str
EventTypeInfo = TypedDict("EventTypeInfo", {
    "action": str,
    "builtIn": bool,
    "category": str,
    "family": Union[str, None],
    "key": str,
    "meaning": Union[str, None],
    "required": Union[list[str], None],
    "subjectKind": Union[str, None],
    "synonymOf": Union[str, None],
    "template": Union[str, None],
})
EventTypes = TypedDict("EventTypes", {
    "items": list["EventTypeInfo"],
})
Hold = TypedDict("Hold", {
    "actor": Union[str, None],
    "from": Union[str, None],
    "id": str,
    "placedAt": str,
    "placedBy": str,
    "reason": str,
    "releaseReason": Union[str, None],
    "releasedAt": Union[str, None],
    "releasedBy": Union[str, None],
    "subject": Union[str, None],
    "to": Union[str, None],
})
Holds = TypedDict("Holds", {
    "items": list["Hold"],
})
Member = TypedDict("Member", {
    "createdAt": str,
    "id": str,
    "isActive": bool,
    "name": Union[str, None],
    "orgId": str,
    "role": str,
    "updatedAt": str,
    "userAddress": str,
    "userId": str,
})
MemberCredits = TypedDict("MemberCredits", {
    "burnCount": int,
    "firstBurnAt": Union[str, None],
    "lastBurnAt": Union[str, None],
    "memberAddress": str,
    "memberId": str,
    "name": Union[str, None],
    "totalCreditsBurned": str,
    "unit": Union[str, None],
})
MemberQuery = TypedDict("MemberQuery", {
    "environment": NotRequired[Union[str, None]],
    "isActive": NotRequired[Union[bool, None]],
    "offset": NotRequired[Union[float, None]],
    "page": NotRequired[Union[float, None]],
    "role": NotRequired[Union[str, None]],
})
Members = TypedDict("Members", {
    "members": list["Member"],
    "offset": int,
    "page": int,
    "totalActiveAdmins": int,
    "totalResults": int,
})
Membership = TypedDict("Membership", {
    "group": Union[dict[str, Any], None],
    "hasSubscriptionHistory": bool,
    "isAdmin": bool,
    "orgId": str,
    "orgName": str,
    "orgType": str,
    "role": str,
})
Memberships = list["Membership"]
Mrr = TypedDict("Mrr", {
    "activeSubscriptions": int,
    "currency": Union[str, None],
    "items": list["MrrRow"],
    "mrr": Union[str, None],
})
MrrRow = TypedDict("MrrRow", {
    "currency": Union[str, None],
    "mrr": str,
    "subscriptions": int,
})
MrrTimeline = TypedDict("MrrTimeline", {
    "items": list["MrrTimelineRow"],
    "step": str,
    "timeZone": str,
})
MrrTimelineRow = TypedDict("MrrTimelineRow", {
    "bucket": str,
    "currency": Union[str, None],
    "mrr": str,
    "subscriptions": int,
})
NewEvent = TypedDict("NewEvent", {
    "actor": NotRequired[Union["NewPerson", None]],
    "context": NotRequired[Union[dict[str, Any], None]],
    "description": NotRequired[Union[str, None]],
    "eventType": "EventType",
    "id": NotRequired[Union[str, None]],
    "metadata": NotRequired[Union[dict[str, Any], None]],
    "occurredAt": NotRequired[Union[str, None]],
    "onBehalfOf": NotRequired[Union["NewPerson", None]],
    "subject": NotRequired[Union[dict[str, Any], None]],
})
NewPerson = TypedDict("NewPerson", {
    "id": str,
    "kind": NotRequired[Union[str, None]],
    "name": NotRequired[Union[str, None]],
})
NewRealtimeSecret = TypedDict("NewRealtimeSecret", {
    "label": str,
})
NewWebhook = TypedDict("NewWebhook", {
    "description": NotRequired[Union[str, None]],
    "eventTypes": NotRequired[Union[list[str], None]],
    "url": str,
})
Period = TypedDict("Period", {
    "from": str,
    "to": NotRequired[Union[str, None]],
})
Person = TypedDict("Person", {
    "id": str,
    "kind": Union[str, None],
    "name": Union[str, None],
})
Position = TypedDict("Position", {
    "cursor": Union[str, None],
    "hash": Union[str, None],
    "position": Union[int, None],
})
Problem = TypedDict("Problem", {
    "code": str,
    "detail": str,
    "hint": NotRequired[str],
    "message": str,
    "parameter": NotRequired[str],
    "status": int,
    "title": str,
    "type": str,
})
RealtimeSecret = TypedDict("RealtimeSecret", {
    "createdAt": str,
    "id": str,
    "label": Union[str, None],
    "lastFour": str,
    "lastUsedAt": Union[str, None],
    "status": str,
})
RealtimeSecretShown = TypedDict("RealtimeSecretShown", {
    "createdAt": str,
    "id": str,
    "label": Union[str, None],
    "lastFour": str,
    "secret": str,
})
RealtimeSecrets = list["RealtimeSecret"]
Redaction = TypedDict("Redaction", {
    "actor": Union[str, None],
    "deliveries": int,
    "events": int,
    "id": str,
    "pseudonym": str,
    "reason": str,
    "redactedAt": str,
})
Redactions = TypedDict("Redactions", {
    "items": list["Redaction"],
})
Redelivered = TypedDict("Redelivered", {
    "deliveries": int,
})
Revenue = TypedDict("Revenue", {
    "currency": Union[str, None],
    "items": list["RevenueRow"],
    "totalRevenue": Union[str, None],
})
RevenueRow = TypedDict("RevenueRow", {
    "agentId": str,
    "agentName": str,
    "currency": Union[str, None],
    "totalRevenue": str,
    "transactionCount": int,
})
Rotation = TypedDict("Rotation", {
    "overlapSeconds": NotRequired[Union[float, None]],
})
Session = TypedDict("Session", {
    "capabilities": list[str],
    "expiresAt": Union[str, None],
    "features": Union[dict[str, Any], None],
    "kind": str,
    "label": Union[str, None],
    "member": Union[str, None],
    "organization": Union[str, None],
    "role": Union[str, None],
    "tier": Union[str, None],
})
SessionCode = TypedDict("SessionCode", {
    "code": str,
})
Subject = TypedDict("Subject", {
    "id": str,
    "kind": str,
})
Summary = TypedDict("Summary", {
    "items": list["SummaryRow"],
})
SummaryRow = TypedDict("SummaryRow", {
    "dimension": str,
    "events": int,
    "key": Union[str, None],
    "kind": Union[str, None],
    "latest": str,
    "name": Union[str, None],
})
TestSent = TypedDict("TestSent", {
    "deliveryId": str,
})
Timeline = TypedDict("Timeline", {
    "items": list["TimelineRow"],
    "step": str,
    "timeZone": str,
})
TimelineRow = TypedDict("TimelineRow", {
    "bucket": str,
    "events": int,
    "key": Union[str, None],
})
Try = TypedDict("Try", {
    "attempt": int,
    "durationMs": Union[float, None],
    "error": Union[str, None],
    "probe": bool,
    "reportedAt": str,
    "responseBody": Union[str, None],
    "responseStatus": Union[int, None],
    "sentAt": Union[str, None],
})
Usage = TypedDict("Usage", {
    "items": list["UsageRow"],
})
UsageRow = TypedDict("UsageRow", {
    "creditsBurned": str,
    "events": int,
    "firstAt": Union[str, None],
    "lastAt": Union[str, None],
    "planId": str,
    "planName": str,
    "uniqueUsers": int,
    "unit": Union[str, None],
})
Verification = TypedDict("Verification", {
    "events": int,
    "hash": str,
    "position": int,
    "problems": list["VerificationProblem"],
    "valid": bool,
    "verifiedAt": str,
})
VerificationProblem = TypedDict("VerificationProblem", {
    "position": Union[int, None],
    "problem": str,
})
Webhook = TypedDict("Webhook", {
    "createdAt": str,
    "description": Union[str, None],
    "disabledAt": Union[str, None],
    "enabled": bool,
    "eventTypes": list[str],
    "failingSince": Union[str, None],
    "failures": Union[int, None],
    "id": str,
    "inFlight": Union[int, None],
    "lastSuccessAt": Union[str, None],
    "nextProbeAt": Union[str, None],
    "quarantinedAt": Union[str, None],
    "reason": Union[str, None],
    "secret": NotRequired[str],
    "secretHint": Union[str, None],
    "status": str,
    "url": str,
})
WebhookChange = TypedDict("WebhookChange", {
    "description": NotRequired[Union[str, None]],
    "enabled": NotRequired[Union[bool, None]],
    "eventTypes": NotRequired[Union[list[str], None]],
    "url": NotRequired[Union[str, None]],
})
Webhooks = list["Webhook"]
