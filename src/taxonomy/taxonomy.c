/*
 * taxonomy/taxonomy.c
 *		The event types: built in, and defined by the application.
 *
 * The built-in ones are compiled in (taxonomy_data.h is made from
 * data/taxonomy.tsv), so that the recording path finds them without a look at
 * any table.  Definitions are few and change rarely: each backend keeps all of
 * them, loaded when first needed and again after a change.  A trigger on
 * their table sends a relcache invalidation of it, which reaches every backend
 * when the change commits and our own also when it is rolled back.
 *
 * The table is read with a scan of our own, not with SPI: the type's input and
 * output functions end up here, also in parallel workers, in logical decoding
 * and where no snapshot is active.
 */
#include "activity.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/cache.h"
#include "base/own_table.h"
#include "taxonomy/suggestion.h"
#include "taxonomy/taxonomy.h"

#include "taxonomy/taxonomy_data.h"

/* Columns of _activity.event_type_definition, in their order (taxonomy.sql). */
#define DEFINITION_CODE			1
#define DEFINITION_KEY			2
#define DEFINITION_FAMILY		3
#define DEFINITION_SUBJECT_KIND	4
#define DEFINITION_REQUIRED		5
#define DEFINITION_TEMPLATE		6
#define DEFINITION_MEANING		7

/* Most names of fields that an error lists. */
#define LISTED_FIELDS 20

/* The application's definitions. */
typedef struct Definitions
{
	int			count;
	ActEventType *by_code;		/* sorted */
	ActEventType **by_key;		/* sorted, pointing into by_code */
} Definitions;

static void *load_definitions(ActSet *set);

static ActSet definition_set = {
	.name = "event types",
	.fill = load_definitions
};

static MemoryContext built_in_templates = NULL;

static const Definitions *current_definitions(void);
static void read_definition(Relation relation, HeapTuple tuple,
							ActEventType *type);
static char *read_text(Relation relation, HeapTuple tuple, AttrNumber column);
static int	compare_codes(const void *a, const void *b);
static int	compare_keys(const void *a, const void *b);
static const ActEventType *search_key(ActEventType *const *by_key, int count,
									  const char *key);
static void append_code(int32 code, int32 **codes, int *ncodes);
static void append_fields(StringInfo out, int *nlisted, Jsonb *jsonb,
						  Jsonb *unless_in);

/* Registers what keeps the definitions fresh; called once, at load. */
void
act_taxonomy_init(void)
{
	act_set_init(&definition_set);
}

/* The type of a key in any case of letters, or NULL. */
const ActEventType *
act_taxonomy_find(const char *key, int len)
{
	char		lower[ACT_KEY_MAX + 1];
	const ActEventType *type;
	const Definitions *definitions;
	int			i;

	if (len > ACT_KEY_MAX)
		return NULL;
	for (i = 0; i < len; i++)
		lower[i] = (key[i] >= 'A' && key[i] <= 'Z') ? key[i] + ('a' - 'A') : key[i];
	lower[len] = '\0';

	type = search_key(built_in_by_key, lengthof(built_in_by_key), lower);
	if (type != NULL)
		return type;

	definitions = current_definitions();
	type = search_key(definitions->by_key, definitions->count, lower);
	if (type != NULL)
		return type;

	/* Committed since our last lock was taken, perhaps: ask for the news. */
	if (IsTransactionState())
	{
		AcceptInvalidationMessages();
		if (act_set_is_stale(&definition_set))
		{
			definitions = current_definitions();
			type = search_key(definitions->by_key, definitions->count, lower);
		}
	}
	return type;
}

/* The type of a code, or NULL. */
const ActEventType *
act_taxonomy_get(int32 code)
{
	ActEventType wanted;
	const Definitions *definitions;

	if (code >= 1 && code <= lengthof(built_in_types))
		return &built_in_types[code - 1];
	if (code < ACT_FIRST_DEFINED_CODE)
		return NULL;

	definitions = current_definitions();
	if (definitions->count == 0)
		return NULL;
	wanted.code = code;
	return bsearch(&wanted, definitions->by_code, definitions->count,
				   sizeof(ActEventType), compare_codes);
}

bool
act_taxonomy_is_own(int32 code)
{
	return code >= OWN_FIRST && code <= lengthof(built_in_types);
}

/* As find, but what does not exist is an error. */
const ActEventType *
act_taxonomy_require(const char *key, int len)
{
	const ActEventType *type = act_taxonomy_find(key, len);

	if (type == NULL)
		act_suggestion_report(key, len, NULL);
	return type;
}

/*
 * As get, but what does not exist is an error.  This is what recording asks, so
 * here also a transaction that takes no more locks hears of a revision.
 */
const ActEventType *
act_taxonomy_require_code(int32 code)
{
	const ActEventType *type;

	if (code >= ACT_FIRST_DEFINED_CODE)
		AcceptInvalidationMessages();
	type = act_taxonomy_get(code);
	if (type == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_ACT_UNKNOWN_EVENT_TYPE),
				 errmsg("event type with code %d does not exist", code),
				 errdetail("Its definition was rolled back or removed."),
				 errhint("Define it with activity.define_event_type().")));
	return type;
}

/* The key of a code, palloc'd; unknown.<code> if it does not exist. */
char *
act_taxonomy_key(int32 code)
{
	const ActEventType *type = act_taxonomy_get(code);

	if (type == NULL)
		return psprintf(ACT_UNKNOWN_CATEGORY ".%d", code);
	return pstrdup(type->key);
}

/*
 * The code of an application's key: FNV-1a, which is short and the same on
 * every machine.  The upper 8 bits are of the category alone, so that the
 * types of one lie side by side in the index on them, and a filter category.*
 * reads one stretch of it.  That two keys share a code is unlikely (1 in 18,000
 * among a hundred types in ten categories) and refused when the second is
 * defined.
 */
int32
act_taxonomy_code(const char *key)
{
	uint32		hash = 2166136261U;
	uint32		category = 0;
	uint32		code;

	for (; *key != '\0'; key++)
	{
		if (*key == '.')
			category = hash ^ (hash >> 8) ^ (hash >> 16) ^ (hash >> 24);
		hash = (hash ^ (unsigned char) *key) * 16777619U;
	}
	hash ^= hash >> 23;
	code = (category & 0xff) << 23 | (hash & 0x7fffff);
	return code < ACT_FIRST_DEFINED_CODE ? code + ACT_FIRST_DEFINED_CODE : code;
}

/* Whether it is category.action in lower case and not too long. */
bool
act_taxonomy_is_key(const char *key)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	int			category = strspn(key, letters);
	int			action;

	if (category == 0 || key[category] != '.')
		return false;
	action = strspn(key + category + 1, letters);
	return action > 0 && key[category + 1 + action] == '\0' &&
		category + 1 + action <= ACT_KEY_MAX;
}

/* How many types there are, and the i-th of them in the order of codes. */
int
act_taxonomy_count(void)
{
	return lengthof(built_in_types) + current_definitions()->count;
}

const ActEventType *
act_taxonomy_nth(int i)
{
	const Definitions *definitions = definition_set.content;

	if (i < lengthof(built_in_types))
		return &built_in_types[i];
	i -= lengthof(built_in_types);
	Assert(definitions != NULL && i < definitions->count);
	return &definitions->by_code[i];
}

/* The type's template, compiled when first asked for. */
const ActTemplate *
act_taxonomy_template(const ActEventType *type)
{
	ActEventType *owned = unconstify(ActEventType *, type);

	if (owned->template == NULL)
	{
		if (built_in_templates == NULL)
			built_in_templates = AllocSetContextCreate(TopMemoryContext,
													   "activity templates",
													   ALLOCSET_SMALL_SIZES);
		owned->template =
			act_template_compile(type->template_source,
								 type->built_in ? built_in_templates :
								 definition_set.context);
	}
	return owned->template;
}

/* Throws unless every required field is there; lists what was given. */
void
act_taxonomy_check_required(const ActEventType *type,
							Jsonb *subject, Jsonb *metadata)
{
	StringInfoData missing;
	StringInfoData given;
	int			nmissing = 0;
	int			ngiven = 0;
	int			i;

	for (i = 0; i < type->nrequired; i++)
	{
		const char *name = type->required[i];
		JsonbValue	value;

		if (act_template_look_up(subject, metadata, name, strlen(name), &value))
			continue;
		if (nmissing++ == 0)
			initStringInfo(&missing);
		else
			appendStringInfoString(&missing, ", ");
		appendStringInfo(&missing, "\"%s\"", name);
	}
	if (nmissing == 0)
		return;

	initStringInfo(&given);
	append_fields(&given, &ngiven, subject, NULL);
	append_fields(&given, &ngiven, metadata, subject);
	ereport(ERROR,
			(errcode(ERRCODE_ACT_MISSING_FIELD),
			 errmsg_plural("event type \"%s\" requires the field %s",
						   "event type \"%s\" requires the fields %s",
						   nmissing, type->key, missing.data),
			 ngiven > 0 ? errdetail("Given were: %s.", given.data) :
			 errdetail("No fields were given."),
			 errhint("Add what is missing to subject or metadata; null does not count.")));
}

/*
 * Appends the codes that a filter word means: a key, or category.* for all of
 * a category; either with synonyms.
 */
void
act_taxonomy_match(const char *pattern, int32 **codes, int *ncodes)
{
	int			len = strlen(pattern);
	bool		is_found = false;
	int			i;

	if (len < 2 || strcmp(pattern + len - 2, ".*") != 0)
	{
		act_taxonomy_synonyms(act_taxonomy_require(pattern, len)->code,
							  codes, ncodes);
		return;
	}

	len -= 2;
	for (i = 0; i < act_taxonomy_count(); i++)
	{
		const ActEventType *type = act_taxonomy_nth(i);

		if (pg_strncasecmp(type->category, pattern, len) == 0 &&
			type->category[len] == '\0')
		{
			is_found = true;
			act_taxonomy_synonyms(type->code, codes, ncodes);
		}
	}
	if (!is_found)
		act_suggestion_throw_category(pattern, len);
}

/* Appends the code and those of its synonyms. */
void
act_taxonomy_synonyms(int32 code, int32 **codes, int *ncodes)
{
	int32		meant = code;
	int			i;

	append_code(code, codes, ncodes);
	if (code > lengthof(built_in_types))
		return;					/* definitions have no synonyms */

	if (code >= 1 && built_in_types[code - 1].synonym_of != 0)
		meant = built_in_types[code - 1].synonym_of;
	for (i = 0; i < lengthof(built_in_types); i++)
	{
		if (built_in_types[i].code == meant ||
			built_in_types[i].synonym_of == meant)
			append_code(built_in_types[i].code, codes, ncodes);
	}
}

/* None outside a transaction, unless they were read before. */
static const Definitions *
current_definitions(void)
{
	static const Definitions none = {0};
	const Definitions *definitions = act_set_get(&definition_set);

	return likely(definitions != NULL) ? definitions : &none;
}

/*
 * Reads them, sorted both ways.  While the extension is being created there is
 * no table yet, and thus no definition.
 */
static void *
load_definitions(ActSet *set)
{
	Definitions *loaded = palloc0(sizeof(Definitions));
	Oid			namespace = get_namespace_oid("_activity", true);
	Oid			relid = InvalidOid;
	Relation	relation;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			room = 16;

	if (OidIsValid(namespace))
		relid = get_relname_relid("event_type_definition", namespace);
	act_set_depends(set, relid);
	if (!OidIsValid(relid))
		return loaded;

	relation = table_open(relid, AccessShareLock);
	act_relation_check_columns(relation, "ITttATt");
	scan = systable_beginscan(relation, InvalidOid, false, NULL, 0, NULL);
	loaded->by_code = palloc(room * sizeof(ActEventType));
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (loaded->count == room)
		{
			room *= 2;
			loaded->by_code = repalloc(loaded->by_code,
									   room * sizeof(ActEventType));
		}
		read_definition(relation, tuple, &loaded->by_code[loaded->count++]);
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);

	if (loaded->count > 0)
		qsort(loaded->by_code, loaded->count, sizeof(ActEventType),
			  compare_codes);
	loaded->by_key = palloc((loaded->count + 1) * sizeof(ActEventType *));
	for (int i = 0; i < loaded->count; i++)
		loaded->by_key[i] = &loaded->by_code[i];
	if (loaded->count > 0)
		qsort(loaded->by_key, loaded->count, sizeof(ActEventType *),
			  compare_keys);
	return loaded;
}

/* One row, copied into the current context. */
static void
read_definition(Relation relation, HeapTuple tuple, ActEventType *type)
{
	bool		is_null;
	char	   *category;
	char	   *dot;
	Datum	   *fields;
	const char **required;
	int			i;

	memset(type, 0, sizeof(ActEventType));
	type->code = DatumGetInt32(heap_getattr(tuple, DEFINITION_CODE,
											RelationGetDescr(relation),
											&is_null));
	type->key = read_text(relation, tuple, DEFINITION_KEY);
	category = pstrdup(type->key);
	dot = strchr(category, '.');
	if (dot == NULL)			/* the table's CHECK forbids it */
		elog(ERROR, "event type \"%s\" has no action", type->key);
	*dot = '\0';
	type->category = category;
	type->action = dot + 1;
	type->family = read_text(relation, tuple, DEFINITION_FAMILY);
	type->subject_kind = read_text(relation, tuple, DEFINITION_SUBJECT_KIND);
	type->template_source = read_text(relation, tuple, DEFINITION_TEMPLATE);
	type->meaning = read_text(relation, tuple, DEFINITION_MEANING);

	deconstruct_array(DatumGetArrayTypeP(heap_getattr(tuple,
													  DEFINITION_REQUIRED,
													  RelationGetDescr(relation),
													  &is_null)),
					  TEXTOID, -1, false, TYPALIGN_INT,
					  &fields, NULL, &type->nrequired);
	required = palloc((type->nrequired + 1) * sizeof(char *));
	for (i = 0; i < type->nrequired; i++)
		required[i] = TextDatumGetCString(fields[i]);
	type->required = required;
}

/* A text column as a string in the current context; NULL if null. */
static char *
read_text(Relation relation, HeapTuple tuple, AttrNumber column)
{
	bool		is_null;
	Datum		value = heap_getattr(tuple, column,
									 RelationGetDescr(relation), &is_null);

	return is_null ? NULL : TextDatumGetCString(value);
}

static int
compare_codes(const void *a, const void *b)
{
	int32		left = ((const ActEventType *) a)->code;
	int32		right = ((const ActEventType *) b)->code;

	return (left > right) - (left < right);
}

static int
compare_keys(const void *a, const void *b)
{
	return strcmp((*(ActEventType *const *) a)->key,
				  (*(ActEventType *const *) b)->key);
}

/* Binary search by lower-case key. */
static const ActEventType *
search_key(ActEventType *const *by_key, int count, const char *key)
{
	int			low = 0;
	int			high = count;

	while (low < high)
	{
		int			middle = (low + high) / 2;
		int			order = strcmp(key, by_key[middle]->key);

		if (order == 0)
			return by_key[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* Appends a code unless it is there already; grows by powers of two. */
static void
append_code(int32 code, int32 **codes, int *ncodes)
{
	int			n = *ncodes;
	int			i;

	for (i = 0; i < n; i++)
	{
		if ((*codes)[i] == code)
			return;
	}
	if (n == 0)
		*codes = palloc(4 * sizeof(int32));
	else if (n >= 4 && (n & (n - 1)) == 0)
		*codes = repalloc(*codes, 2 * n * sizeof(int32));
	(*codes)[(*ncodes)++] = code;
}

/*
 * Appends the names of an object's fields that are not null, leaving out those
 * that the other object has, too.
 */
static void
append_fields(StringInfo out, int *nlisted, Jsonb *jsonb, Jsonb *unless_in)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	name;
	JsonbValue	value;

	if (jsonb == NULL || !JB_ROOT_IS_OBJECT(jsonb))
		return;
	iterator = JsonbIteratorInit(&jsonb->root);
	while ((token = JsonbIteratorNext(&iterator, &name, true)) != WJB_DONE)
	{
		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&iterator, &value, true);
		if (value.type == jbvNull ||
			act_template_look_up(unless_in, NULL, name.val.string.val,
								 name.val.string.len, &value))
			continue;
		if (*nlisted == LISTED_FIELDS)
		{
			appendStringInfoString(out, ", and more");
			return;
		}
		appendStringInfo(out, "%s\"%.*s\"", (*nlisted)++ > 0 ? ", " : "",
						 name.val.string.len, name.val.string.val);
	}
}
