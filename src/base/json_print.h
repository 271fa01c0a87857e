/*
 * base/json_print.h
 *		JSON's text, in pieces: nothing of the size of the whole is made.
 */
#ifndef ACT_JSON_PRINT_H
#define ACT_JSON_PRINT_H

#include "postgres.h"

#include "utils/jsonb.h"

/* Takes the next bytes of the text; a piece has at most ACT_JSON_PIECE. */
typedef void (*ActJsonSink) (void *state, const char *bytes, int len);

#define ACT_JSON_PIECE 8192

/*
 * The text of a jsonb value: spaced as jsonb_out prints it, byte for byte, or
 * compact, without a space between tokens.
 */
extern void act_json_print(Jsonb *json, bool spaced, ActJsonSink sink,
						   void *state);

/* A string with its quotes, escaped as JSON wants it. */
extern void act_json_print_string(const char *bytes, int len, ActJsonSink sink,
								  void *state);

/* A sink that appends to a StringInfo. */
extern void act_json_append(void *stringinfo, const char *bytes, int len);

#endif
