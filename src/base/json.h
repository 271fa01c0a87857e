/*
 * base/json.h
 *		Reading JSON: what strangers wrote without throwing, and what callers of
 *		track() write, who are told where they are wrong.
 */
#ifndef ACT_JSON_H
#define ACT_JSON_H

#include "base/compat.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* A key and its value; an array's elements have the key NULL. */
typedef struct ActJsonMember
{
	char	   *key;
	JsonbValue	value;
} ActJsonMember;

/*
 * Between begin and end, the parts into which JSON is taken apart (members,
 * containers, act_json_part) lie in a context that end deletes; texts are the
 * caller's.  What is read is kept for long, and the parts are ten times as large.
 * An error leaves it to the current context.
 */
extern void act_json_begin(void);
extern void act_json_end(void);
extern Jsonb *act_json_part(JsonbValue *value);

/*
 * What jsonb makes of a text, or NULL where it would throw: bad syntax, \u0000,
 * numbers out of range, nesting too deep.
 */
extern Jsonb *act_json_read(const char *text);

/* Throws: where must be expected. */
pg_noreturn extern void act_json_complain(const char *where,
										  const char *expected);

/* The value of a key; NULL when it is absent or null. */
/*
 * The value of a key; NULL where there is none, or the document is no object.  The
 * server's own function reads what is none as if it were one, and a row of our
 * tables has whatever their owner wrote there.
 */
static inline JsonbValue *
act_json_find(const Jsonb *json, const char *key, int len, JsonbValue *value)
{
	return JB_ROOT_IS_OBJECT(json) ?
		getKeyJsonValueFromContainer((JsonbContainer *) &json->root, key, len, value) :
		NULL;
}

extern JsonbValue *act_json_get(const Jsonb *json, const char *key,
								JsonbValue *value);

/* The object or array of a key; NULL when it is absent or null. */
extern Jsonb *act_json_get_container(Jsonb *json, const char *key, bool array);

extern char *act_json_get_text(Jsonb *json, const char *key);
extern bool act_json_get_bool(Jsonb *json, const char *key, bool otherwise);

/* A text, or an array of texts: a List of char *. */
extern List *act_json_get_texts(Jsonb *json, const char *key);
extern List *act_json_read_texts(const JsonbValue *value, const char *where);

/* The members of an object, or the elements of an array: of ActJsonMember, keys
 * included parts. */
extern List *act_json_members(Jsonb *json);

/* A scalar as text; NULL for what is none. */
extern char *act_json_text(const JsonbValue *value);

/* Throws unless every key is known; known ends with NULL. */
extern void act_json_check_keys(Jsonb *json, const char *const *known,
								const char *where);

#endif
