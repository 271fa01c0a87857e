/*
 * taxonomy/template.h
 *		Description templates: compiled once, rendered per event.
 */
#ifndef ACT_TEMPLATE_H
#define ACT_TEMPLATE_H

#include "utils/jsonb.h"

#define ACT_TEMPLATE_MAX 2000	/* bytes of a template's source */
#define ACT_FIELD_NAME_MAX 127	/* bytes in the name of a field */

typedef struct ActTemplate ActTemplate;

/* Compiles into context; throws ERRCODE_ACT_BAD_TEMPLATE with the position. */
extern ActTemplate *act_template_compile(const char *source, MemoryContext context);

/* The sentence, palloc'd.  subject and metadata may be NULL; metadata wins. */
extern text *act_template_render(const ActTemplate *template,
								 Jsonb *subject, Jsonb *metadata);

/* The value of a field as templates find it: metadata (may be NULL) before
 * subject; false if it is absent or null. */
extern bool act_template_look_up(Jsonb *subject, Jsonb *metadata,
								 const char *name, int len, JsonbValue *value);

/* Whether a template can name it. */
extern bool act_template_is_name(const char *name, int len);

#endif
