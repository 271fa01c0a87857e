/*
 * record/actor.c
 *		Who did it, and where it came from.
 *
 * Both are built from settings, which rarely change between events, so the
 * finished values are kept with copies of the settings they were built from and
 * built anew when those differ.  A setting made with SET LOCAL reads as an
 * empty string after the transaction, so empty means unset throughout.
 */
#include "activity.h"

#include "catalog/pg_authid.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/syscache.h"

#include "record/actor.h"
#include "base/compat.h"
#include "base/json.h"

#define CLAIMS_SETTING "request.jwt.claims"

PG_FUNCTION_INFO_V1(act_set_actor);

/* What current_actor was built from; copies, in actor_memory. */
typedef struct ActorSource
{
	char	   *kind;
	char	   *id;
	char	   *name;
	char	   *claims;
} ActorSource;

typedef struct ContextSource
{
	char	   *context;
	Oid			session_user_id;
	Oid			outer_user_id;
} ContextSource;

static MemoryContext actor_memory = NULL;
static ActorSource actor_source;
static ActActor current_actor;

/* The same of whom he acts for; in behalf_memory. */
static MemoryContext behalf_memory = NULL;
static ActorSource behalf_source;
static Jsonb *current_behalf = NULL;

static MemoryContext context_memory = NULL;
static ContextSource context_source;
static Jsonb *current_context = NULL;

static void build_actor(const ActorSource *source);
static void build_behalf(const ActorSource *source);
static void build_context(const ContextSource *source);
static void forget_roles(Datum arg, int cache, uint32 hash);

void
act_actor_init(void)
{
	CacheRegisterSyscacheCallback(AUTHOID, forget_roles, (Datum) 0);
}

/* Syscache callback: a role may have another name now. */
static void
forget_roles(Datum arg, int cache, uint32 hash)
{
	current_context = NULL;
}

static bool
same(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

/* A setting's value, NULL for unset and empty. */
static char *
given(char *setting)
{
	return setting != NULL && setting[0] != '\0' ? setting : NULL;
}

const ActActor *
act_actor_current(void)
{
	ActorSource now = {NULL};

	now.id = given(act_setting_actor_id);
	if (now.id != NULL)
	{
		now.kind = given(act_setting_actor_kind);
		now.name = given(act_setting_actor_name);
	}
	else
		now.claims = given((char *) GetConfigOption(CLAIMS_SETTING, true, false));

	if (actor_memory == NULL ||
		!same(now.id, actor_source.id) ||
		!same(now.kind, actor_source.kind) ||
		!same(now.name, actor_source.name) ||
		!same(now.claims, actor_source.claims))
		build_actor(&now);
	return &current_actor;
}

Jsonb *
act_actor_on_behalf_of(void)
{
	ActorSource now = {NULL};

	now.id = given(act_setting_on_behalf_of_id);
	if (now.id == NULL)
		return NULL;
	now.kind = given(act_setting_on_behalf_of_kind);
	now.name = given(act_setting_on_behalf_of_name);
	if (current_behalf == NULL ||
		!same(now.id, behalf_source.id) ||
		!same(now.kind, behalf_source.kind) ||
		!same(now.name, behalf_source.name))
		build_behalf(&now);
	return current_behalf;
}

Jsonb *
act_actor_context(void)
{
	ContextSource now;

	now.context = given(act_setting_context);
	now.session_user_id = GetSessionUserId();
	now.outer_user_id = GetOuterUserId();

	if (current_context == NULL ||
		now.session_user_id != context_source.session_user_id ||
		now.outer_user_id != context_source.outer_user_id ||
		!same(now.context, context_source.context))
		build_context(&now);
	return current_context;
}

Jsonb *
act_actor_read_object(const char *text)
{
	Jsonb	   *json = act_json_read(text);

	return json != NULL && JB_ROOT_IS_OBJECT(json) ? json : NULL;
}

/* The claims' "sub" where they are an object with one; else NULL. */
static text *
claims_subject(const char *claims)
{
	/* What a proxy put there must not break the recording. */
	Jsonb	   *json = act_actor_read_object(claims);
	JsonbValue	sub;

	if (json == NULL ||
		getKeyJsonValueFromContainer(&json->root, "sub", 3, &sub) == NULL ||
		sub.type != jbvString || sub.val.string.len == 0)
		return NULL;
	return cstring_to_text_with_len(sub.val.string.val, sub.val.string.len);
}

static void
build_actor(const ActorSource *source)
{
	MemoryContext old;

	memset(&current_actor, 0, sizeof(current_actor));
	memset(&actor_source, 0, sizeof(actor_source));
	if (actor_memory == NULL)
		actor_memory = AllocSetContextCreate(TopMemoryContext,
											 "activity actor",
											 ALLOCSET_SMALL_SIZES);
	MemoryContextReset(actor_memory);
	old = MemoryContextSwitchTo(actor_memory);

	if (source->id != NULL)
	{
		current_actor.id = cstring_to_text(source->id);
		current_actor.kind = cstring_to_text(source->kind ? source->kind : "user");
		if (source->name != NULL)
			current_actor.name = cstring_to_text(source->name);
	}
	else if (source->claims != NULL)
	{
		current_actor.id = claims_subject(source->claims);
		if (current_actor.id != NULL)
			current_actor.kind = cstring_to_text("user");
	}

#define KEEP(field) \
	(actor_source.field = source->field ? pstrdup(source->field) : NULL)
	KEEP(kind);
	KEEP(id);
	KEEP(name);
	KEEP(claims);
#undef KEEP
	MemoryContextSwitchTo(old);
}

static void
push_string(JsonbParseState **state, const char *key, char *value)
{
	JsonbValue	v;

	v.type = jbvString;
	v.val.string.val = (char *) key;
	v.val.string.len = strlen(key);
	pushJsonbValue(state, WJB_KEY, &v);
	v.val.string.val = value;
	v.val.string.len = strlen(value);
	pushJsonbValue(state, WJB_VALUE, &v);
}

/* Copies the members of an object into the one being built. */
static void
push_members(JsonbParseState **state, Jsonb *object)
{
	JsonbIterator *it = JsonbIteratorInit(&object->root);
	JsonbIteratorToken token;
	JsonbValue	v;

	(void) JsonbIteratorNext(&it, &v, true);	/* the object begins */
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_END_OBJECT)
		pushJsonbValue(state, token, &v);
}

static void
build_behalf(const ActorSource *source)
{
	JsonbParseState *state = NULL;
	MemoryContext old;

	current_behalf = NULL;
	if (behalf_memory == NULL)
		behalf_memory = AllocSetContextCreate(TopMemoryContext,
											  "activity on behalf of",
											  ALLOCSET_SMALL_SIZES);
	MemoryContextReset(behalf_memory);
	old = MemoryContextSwitchTo(behalf_memory);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_string(&state, "kind", source->kind ? source->kind : "user");
	push_string(&state, "id", source->id);
	if (source->name != NULL)
		push_string(&state, "name", source->name);
	behalf_source = (ActorSource)
	{
		.kind = source->kind ? pstrdup(source->kind) : NULL,
		.id = pstrdup(source->id),
		.name = source->name ? pstrdup(source->name) : NULL
	};
	current_behalf = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	MemoryContextSwitchTo(old);
}

/* Keys of ours win over the application's, so they can't be forged. */
static void
build_context(const ContextSource *source)
{
	MemoryContext old;
	JsonbParseState *state = NULL;
	JsonbValue *whole;
	char	   *session_user_name;
	Jsonb	   *given_context = NULL;

	current_context = NULL;
	if (context_memory == NULL)
		context_memory = AllocSetContextCreate(TopMemoryContext,
											   "activity context",
											   ALLOCSET_SMALL_SIZES);
	MemoryContextReset(context_memory);
	old = MemoryContextSwitchTo(context_memory);

	session_user_name = GetUserNameFromId(source->session_user_id, true);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (source->context != NULL)
		given_context = act_actor_read_object(source->context);
	if (given_context != NULL)
		push_members(&state, given_context);
	push_string(&state, "database_role",
				session_user_name ? session_user_name : "");
	if (source->outer_user_id != source->session_user_id)
	{
		char	   *role = GetUserNameFromId(source->outer_user_id, true);

		push_string(&state, "set_role", role ? role : "");
	}
	whole = pushJsonbValue(&state, WJB_END_OBJECT, NULL);

	context_source = *source;
	context_source.context = source->context ? pstrdup(source->context) : NULL;
	current_context = JsonbValueToJsonb(whole);
	MemoryContextSwitchTo(old);
}

/* Does Citus send settings along?  It sees nothing but statements that set them. */
static bool
are_sent(void)
{
	const char *sent = GetConfigOption("citus.propagate_set_commands", true, false);

	return sent != NULL && strcmp(sent, "local") == 0;
}

/*
 * As SET LOCAL does; where settings are sent it is one.  Most of them are empty and
 * stay so, and setting one costs two thousand instructions.
 */
static void
set_local(const char *setting, char *current, char *value, bool sent)
{
	if (given(value) == NULL && given(current) == NULL)
		return;
	if (sent)
	{
		SPI_connect();
		if (SPI_execute(psprintf("SET LOCAL %s = %s", setting, quote_literal_cstr(value)),
						false, 0) != SPI_OK_UTILITY)
			elog(ERROR, "could not set \"%s\"", setting);
		SPI_finish();
		return;
	}
	(void) set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

static char *
text_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/* A member's text, "" where it is absent or null; throws 22023 for another kind. */
static char *
member_text(Jsonb *object, const char *name)
{
	JsonbValue	found;

	if (getKeyJsonValueFromContainer(&object->root, name, strlen(name),
									 &found) == NULL ||
		found.type == jbvNull)
		return "";
	if (found.type == jbvString)
		return pnstrdup(found.val.string.val, found.val.string.len);
	if (found.type == jbvNumeric)
		return DatumGetCString(DirectFunctionCall1(numeric_out,
												   NumericGetDatum(found.val.numeric)));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" of on_behalf_of must be text", name),
			 errhint("For example {\"kind\": \"user\", \"id\": \"user_7\", \"name\": \"Ann\"}.")));
}

/* A missing argument is for nobody: an impersonation must not outlive its actor. */
static void
set_on_behalf_of(Jsonb *object, bool sent)
{
	char	   *id = "";

	if (object != NULL)
	{
		if (JB_ROOT_IS_OBJECT(object))
			id = member_text(object, "id");
		if (id[0] == '\0')
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("on_behalf_of must be a JSON object with an id"),
					 errhint("For example {\"kind\": \"user\", \"id\": \"user_7\", \"name\": \"Ann\"}.")));
	}
	set_local("activity.on_behalf_of_kind", act_setting_on_behalf_of_kind,
			  object ? member_text(object, "kind") : "", sent);
	set_local("activity.on_behalf_of_name", act_setting_on_behalf_of_name,
			  object ? member_text(object, "name") : "", sent);
	set_local("activity.on_behalf_of_id", act_setting_on_behalf_of_id, id, sent);
}

/*
 * activity.set_actor(id, kind, name, context, on_behalf_of): as SET LOCAL of the
 * settings.
 */
PGDLLEXPORT Datum
act_set_actor(PG_FUNCTION_ARGS)
{
	bool		sent = are_sent();

	set_local("activity.actor_id", act_setting_actor_id, text_argument(fcinfo, 0), sent);
	set_local("activity.actor_kind", act_setting_actor_kind, text_argument(fcinfo, 1), sent);
	set_local("activity.actor_name", act_setting_actor_name, text_argument(fcinfo, 2), sent);
	if (!PG_ARGISNULL(3))
		set_local("activity.context", act_setting_context,
				  JsonbToCString(NULL, &PG_GETARG_JSONB_P(3)->root, 0), sent);
	set_on_behalf_of(PG_NARGS() > 4 && !PG_ARGISNULL(4) ? PG_GETARG_JSONB_P(4) : NULL,
					 sent);
	PG_RETURN_VOID();
}
