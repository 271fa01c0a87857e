// Made by scripts/client-types of the OpenAPI document.
export interface ActiveMembers {
  items: ActiveMembersRow[];
  step: string;
  timeZone: string;
}
export interface ActiveMembersRow {
  bucket: string;
  members: number;
}
export interface Amounts {
  items: AmountsRow[];
  measure: string;
  step: string;
  timeZone: string;
}
export interface AmountsRow {
  amount: string;
  bucket: string;
  events: number;
  unit: string | null;
}
export interface Checkpoint {
  events: number;
  hash: string;
  position: number;
  takenAt: string;
}
export interface Conversion {
  conversionRate: number | null;
  purchases: number;
  sessions: number;
}
export interface CreditsByMember {
  items: MemberCredits[];
}
export interface Customer {
  currency: string | null;
  customerId: string;
  firstSeenAt: string | null;
  lastActiveAt: string | null;
  name: string | null;
  totalSpent: string;
  transactions: number;
  userId: string;
}
export interface Customers {
  items: Customer[];
  totalCustomers: number;
}
export interface Delivery {
  attempts: number;
  createdAt: string;
  error: string | null;
  eventId: string;
  eventType: string;
  id: string;
  lastAttemptAt: string | null;
  nextAttemptAt: string | null;
  responseStatus: number | null;
  status: string;
  webhookId: string;
}
export interface DeliveryDetail {
  attempts: number;
  createdAt: string;
  error: string | null;
  eventId: string;
  eventType: string;
  id: string;
  lastAttemptAt: string | null;
  nextAttemptAt: string | null;
  payload: Record<string, unknown> | null;
  responseStatus: number | null;
  status: string;
  tries: Try[];
  webhookId: string;
}
export interface DeliveryPage {
  items: Delivery[];
  limit: number;
  page: number;
  total: number;
}
export interface DeliveryRetried {
  id: string;
  queued: boolean;
}
export interface Event {
  action: string;
  actor: Person | null;
  actorUserId: string | null;
  category: string;
  context: Record<string, unknown>;
  description: string;
  eventType: EventType;
  id: string;
  metadata: Record<string, unknown> | null;
  occurredAt: string;
  onBehalfOf: Record<string, unknown> | null;
  recordedAt: string;
  subject: Subject;
}
export interface EventPage {
  hasMore: boolean;
  items: Event[];
  nextCursor: string | null;
  prevCursor: string | null;
  total?: number;
}
export type EventType = "access.viewed" | "account.picture_updated" | "account.updated" | "agent.created" | "api_key.created" | "api_key.deleted" | "api_key.revoked" | "api_key.rotated" | "apikey.created" | "apikey.revoked" | "auth.signin" | "auth.signup" | "billing.created" | "bug_report.status_changed" | "bug_report.submitted" | "compliance.capture_changed" | "compliance.exported" | "compliance.hold_placed" | "compliance.hold_released" | "compliance.imported" | "compliance.redacted" | "compliance.retention_changed" | "compliance.sums_sealed" | "compliance.token_created" | "compliance.token_revoked" | "consent.accepted" | "consent.partial" | "consent.rejected" | "consent.withdrawn" | "credit.add" | "credit.charge" | "credit.refund" | "credit.reserve" | "credit.reset" | "credit_alert.alert_fired" | "credit_alert.settings_created" | "credit_alert.settings_updated" | "credits.redeemed" | "customer.added" | "customer.blocked" | "customer.unblocked" | "domain.domain_activated" | "domain.domain_created" | "domain.domain_failed" | "domain.domain_pending" | "domain.domain_removed" | "domain.domain_removing" | "generation.canceled" | "generation.deleted" | "generation.failed" | "generation.pending" | "generation.processing" | "generation.succeeded" | "invitation.expired" | "invitation.revoked" | "invitation.sent" | "member.deactivated" | "member.invited" | "member.joined" | "member.reactivated" | "member.removed" | "member.role_changed" | "membership.deactivated" | "membership.joined" | "membership.reactivated" | "membership.removed" | "membership.role_changed" | "notification.dismissed" | "notification.received" | "order.created" | "order.item_added" | "order.item_removed" | "order.item_updated" | "order.status_changed" | "plan.created" | "plan.purchased" | "plan.updated" | "subscription.active" | "subscription.cancel_reverted" | "subscription.cancel_scheduled" | "subscription.canceled" | "subscription.downgraded" | "subscription.item_added" | "subscription.item_removed" | "subscription.item_updated" | "subscription.lapsed" | "subscription.past_due" | "subscription.paused" | "subscription.trialing" | "subscription.unpaid" | "subscription.upgraded" | "webhook.created" | "webhook.deleted" | "webhook.delivered" | "webhook.delivery_failed" | "webhook.disabled" | "webhook.enabled" | "webhook.failed" | "webhook.quarantined" | "webhook.updated" | (string & {});
export interface EventTypeInfo {
  action: string;
  builtIn: boolean;
  category: string;
  family: string | null;
  key: string;
  meaning: string | null;
  required: string[] | null;
  subjectKind: string | null;
  synonymOf: string | null;
  template: string | null;
}
export interface EventTypes {
  items: EventTypeInfo[];
}
export interface Hold {
  actor: string | null;
  from: string | null;
  id: string;
  placedAt: string;
  placedBy: string;
  reason: string;
  releaseReason: string | null;
  releasedAt: string | null;
  releasedBy: string | null;
  subject: string | null;
  to: string | null;
}
export interface Holds {
  items: Hold[];
}
export interface Member {
  createdAt: string;
  id: string;
  isActive: boolean;
  name: string | null;
  orgId: string;
  role: string;
  updatedAt: string;
  userAddress: string;
  userId: string;
}
export interface MemberCredits {
  burnCount: number;
  firstBurnAt: string | null;
  lastBurnAt: string | null;
  memberAddress: string;
  memberId: string;
  name: string | null;
  totalCreditsBurned: string;
  unit: string | null;
}
export interface MemberQuery {
  environment?: string | null;
  isActive?: boolean | null;
  offset?: number | null;
  page?: number | null;
  role?: string | null;
}
export interface Members {
  members: Member[];
  offset: number;
  page: number;
  totalActiveAdmins: number;
  totalResults: number;
}
export interface Membership {
  group: Record<string, unknown> | null;
  hasSubscriptionHistory: boolean;
  isAdmin: boolean;
  orgId: string;
  orgName: string;
  orgType: string;
  role: string;
}
export type Memberships = Membership[];
export interface Mrr {
  activeSubscriptions: number;
  currency: string | null;
  items: MrrRow[];
  mrr: string | null;
}
export interface MrrRow {
  currency: string | null;
  mrr: string;
  subscriptions: number;
}
export interface MrrTimeline {
  items: MrrTimelineRow[];
  step: string;
  timeZone: string;
}
export interface MrrTimelineRow {
  bucket: string;
  currency: string | null;
  mrr: string;
  subscriptions: number;
}
export interface NewEvent {
  actor?: NewPerson | null;
  context?: Record<string, unknown> | null;
  description?: string | null;
  eventType: EventType;
  id?: string | null;
  metadata?: Record<string, unknown> | null;
  occurredAt?: string | null;
  onBehalfOf?: NewPerson | null;
  subject?: Record<string, unknown> | null;
}
export interface NewPerson {
  id: string;
  kind?: string | null;
  name?: string | null;
}
export interface NewRealtimeSecret {
  label: string;
}
export interface NewWebhook {
  description?: string | null;
  eventTypes?: string[] | null;
  url: string;
}
export interface Period {
  from: string;
  to?: string | null;
}
export interface Person {
  id: string;
  kind: string | null;
  name: string | null;
}
export interface Position {
  cursor: string | null;
  hash: string | null;
  position: number | null;
}
export interface Problem {
  code: string;
  detail: string;
  hint?: string;
  message: string;
  parameter?: string;
  status: number;
  title: string;
  type: string;
}
export interface RealtimeSecret {
  createdAt: string;
  id: string;
  label: string | null;
  lastFour: string;
  lastUsedAt: string | null;
  status: string;
}
export interface RealtimeSecretShown {
  createdAt: string;
  id: string;
  label: string | null;
  lastFour: string;
  secret: string;
}
export type RealtimeSecrets = RealtimeSecret[];
export interface Redaction {
  actor: string | null;
  deliveries: number;
  events: number;
  id: string;
  pseudonym: string;
  reason: string;
  redactedAt: string;
}
export interface Redactions {
  items: Redaction[];
}
export interface Redelivered {
  deliveries: number;
}
export interface Revenue {
  currency: string | null;
  items: RevenueRow[];
  totalRevenue: string | null;
}
export interface RevenueRow {
  agentId: string;
  agentName: string;
  currency: string | null;
  totalRevenue: string;
  transactionCount: number;
}
export interface Rotation {
  overlapSeconds?: number | null;
}
export interface Session {
  capabilities: string[];
  expiresAt: string | null;
  features: Record<string, unknown> | null;
  kind: string;
  label: string | null;
  member: string | null;
  organization: string | null;
  role: string | null;
  tier: string | null;
}
export interface SessionCode {
  code: string;
}
export interface Subject {
  id: string;
  kind: string;
  [name: string]: unknown;
}
export interface Summary {
  items: SummaryRow[];
}
export interface SummaryRow {
  dimension: string;
  events: number;
  key: string | null;
  kind: string | null;
  latest: string;
  name: string | null;
}
export interface TestSent {
  deliveryId: string;
}
export interface Timeline {
  items: TimelineRow[];
  step: string;
  timeZone: string;
}
export interface TimelineRow {
  bucket: string;
  events: number;
  key: string | null;
}
export interface Try {
  attempt: number;
  durationMs: number | null;
  error: string | null;
  probe: boolean;
  reportedAt: string;
  responseBody: string | null;
  responseStatus: number | null;
  sentAt: string | null;
}
export interface Usage {
  items: UsageRow[];
}
export interface UsageRow {
  creditsBurned: string;
  events: number;
  firstAt: string | null;
  lastAt: string | null;
  planId: string;
  planName: string;
  uniqueUsers: number;
  unit: string | null;
}
export interface Verification {
  events: number;
  hash: string;
  position: number;
  problems: VerificationProblem[];
  valid: boolean;
  verifiedAt: string;
}
export interface VerificationProblem {
  position: number | null;
  problem: string;
}
export interface Webhook {
  createdAt: string;
  description: string | null;
  disabledAt: string | null;
  enabled: boolean;
  eventTypes: string[];
  failingSince: string | null;
  failures: number | null;
  id: string;
  inFlight: number | null;
  lastSuccessAt: string | null;
  nextProbeAt: string | null;
  quarantinedAt: string | null;
  reason: string | null;
  secret?: string;
  secretHint: string | null;
  status: string;
  url: string;
}
export interface WebhookChange {
  description?: string | null;
  enabled?: boolean | null;
  eventTypes?: string[] | null;
  url?: string | null;
}
export type Webhooks = Webhook[];
export interface Filters {
  /** event types and families (credit.*), ! before either excludes; repeatable, or with commas */
  eventType?: string | string[];
  /** id of the actor */
  actorUserId?: string;
  /** id of the subject, or kind:id */
  subject?: string;
  /** id of whom the actor acted for */
  onBehalfOf?: string;
  /** not before this time */
  from?: string | Date;
  /** before this time */
  to?: string | Date;
  /** words in the description or the actor's name */
  search?: string;
  /** most items */
  limit?: number;
  /** number of the page */
  page?: number;
  /** cursor: what is older */
  before?: string;
  /** cursor: what is newer */
  after?: string;
  /** whether the total is counted; by default unless there is a cursor */
  count?: boolean;
}
