/*
 * taxonomy/taxonomy.h
 *		The event types: built in (compiled) and defined by the application.
 */
#ifndef ACT_TAXONOMY_H
#define ACT_TAXONOMY_H

#include "taxonomy/template.h"
#include "utils/jsonb.h"

#define ACT_KEY_MAX 127			/* bytes in category.action */

/*
 * Built-in codes are the line numbers of data/taxonomy.tsv, 1..; those of
 * applications start here and are a hash of the key (act_taxonomy_code), the
 * same in every database.  So a dump's views and defaults, which are restored
 * before the definitions that they name, mean the right type from the start.
 */
#define ACT_FIRST_DEFINED_CODE 10000

/* The category that a code prints when nobody knows it; no type is in it. */
#define ACT_UNKNOWN_CATEGORY "unknown"

typedef struct ActEventType
{
	int32		code;
	const char *key;			/* category.action */
	const char *category;
	const char *action;
	const char *family;			/* NULL: none */
	int32		synonym_of;		/* code of the type it stands for, or 0 */
	const char *subject_kind;	/* NULL: none */
	int			nrequired;
	const char *const *required;
	const char *template_source;
	const char *meaning;		/* NULL: none */
	bool		built_in;
	ActTemplate *template;		/* compiled on first use: act_taxonomy_template */
} ActEventType;

extern void act_taxonomy_init(void);
extern void act_event_type_define_init(void);

/*
 * A pointer that these return is good until the next call of any of them (a
 * definition may have changed meanwhile), so finish with it first.
 * find and get return NULL for what does not exist; require throws
 * ERRCODE_ACT_UNKNOWN_EVENT_TYPE and suggests a near key.
 */
extern const ActEventType *act_taxonomy_find(const char *key, int len);
extern const ActEventType *act_taxonomy_get(int32 code);
extern const ActEventType *act_taxonomy_require(const char *key, int len);
extern const ActEventType *act_taxonomy_require_code(int32 code);

/* Is it of those that the extension alone records, of what it does itself? */
extern bool act_taxonomy_is_own(int32 code);

/* The key of a code for people, palloc'd; never fails, as a row may have
 * outlived its definition: unknown.<code> then. */
extern char *act_taxonomy_key(int32 code);

/* The code that an application's key has, defined or not. */
extern int32 act_taxonomy_code(const char *key);

/* Whether it is category.action in lower case and not too long. */
extern bool act_taxonomy_is_key(const char *key);

/* All types, by code: how many, and the i-th.  Unlike above, the pointers are
 * good until the next call of count or of those above. */
extern int	act_taxonomy_count(void);
extern const ActEventType *act_taxonomy_nth(int i);

/* Call it right after the type was found: the pointer ages like the type's. */
extern const ActTemplate *act_taxonomy_template(const ActEventType *type);

/* Throws ERRCODE_ACT_MISSING_FIELD unless subject or metadata (may be NULL)
 * has every required field, present and not null. */
extern void act_taxonomy_check_required(const ActEventType *type,
										Jsonb *subject, Jsonb *metadata);

/*
 * The codes that a filter word means, synonyms included: 'category.action',
 * 'category.*' (throws for a category or key that does not exist).  Appends to
 * *codes (palloc'd int32 array, grown as needed, no duplicates).
 */
extern void act_taxonomy_match(const char *pattern, int32 **codes, int *ncodes);

/* The code itself and every code that is its synonym, 1..n, into codes. */
extern void act_taxonomy_synonyms(int32 code, int32 **codes, int *ncodes);

#endif
