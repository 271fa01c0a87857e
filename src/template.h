/*
 * template.h
 *		Description templates: compiled once, rendered per event.
 */
#ifndef ACT_TEMPLATE_H
#define ACT_TEMPLATE_H

#include "utils/jsonb.h"

typedef struct ActTemplate ActTemplate;

/* Compiles into context; throws ERRCODE_ACT_BAD_TEMPLATE with the position. */
extern ActTemplate *act_template_compile(const char *source, MemoryContext context);

/* The sentence, palloc'd.  subject and metadata may be NULL; metadata wins. */
extern text *act_template_render(const ActTemplate *template,
								 Jsonb *subject, Jsonb *metadata);

#endif
