/*
 * taxonomy/template.c
 *		Description templates.
 *
 * A template is compiled once per backend and rendered for every event, on the
 * recording path.  So the compiled form is one flat array of pieces that
 * point into a copy of the source, and a field is looked up in the stored jsonb
 * as it is: nothing is unpacked, copied or looked up twice.
 *
 *   text       literal
 *   {a}        the field a
 *   {a|b|Text} the first that is present; the last is a field or else literal
 *   [ ... ]    dropped when a field in it that has no alternative is absent
 *   [[ ]] {{ }} one bracket
 *
 * Brackets are read from left to right, a doubled one before a single one.
 */
#include "activity.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/numeric.h"

#include "base/compat.h"
#include "taxonomy/template.h"

typedef struct Alternative
{
	const char *text;
	int			len;
	bool		is_field;		/* else literal only */
} Alternative;

typedef enum PieceKind
{
	PIECE_TEXT,
	PIECE_FIELD,
	PIECE_OPEN,
	PIECE_CLOSE
} PieceKind;

typedef struct Piece
{
	PieceKind	kind;
	const char *text;			/* PIECE_TEXT */
	int			len;
	Alternative *alternatives;	/* PIECE_FIELD */
	int			nalternatives;
	int			close;			/* PIECE_OPEN: where its PIECE_CLOSE is */
} Piece;

struct ActTemplate
{
	char	   *source;
	int			npieces;
	Piece	   *pieces;
};

typedef struct Parser
{
	ActTemplate *template;
	int			room;			/* of template->pieces */
	const char *at;
	const char *open_at;		/* the group's bracket, or NULL */
	int			open;			/* the group's piece */
	bool		group_has_field;
} Parser;

static void read_open(Parser *parser);
static void read_close(Parser *parser);
static void read_field(Parser *parser);
static void read_text(Parser *parser);
static Piece *add_piece(Parser *parser, PieceKind kind);
static void add_alternative(Parser *parser, Piece *piece,
							const char *text, int len, bool is_last);
static void check_length(const char *source);
pg_noreturn static void complain(Parser *parser, const char *at,
								 const char *what, const char *hint);
static bool append_field(StringInfo out, const Piece *piece,
						 JsonbContainer *subject, JsonbContainer *metadata);
static JsonbContainer *fields_of(Jsonb *jsonb);
static bool find_field(JsonbContainer *container, const char *name, int len,
					   JsonbValue *value);
static void append_value(StringInfo out, const JsonbValue *value);
static void append_array(StringInfo out, JsonbContainer *array);

/*
 * The compiled form of a source, in the given context.
 * Throws ERRCODE_ACT_BAD_TEMPLATE; nothing is left in the context then but
 * garbage, so give one that goes away with the error.
 */
ActTemplate *
act_template_compile(const char *source, MemoryContext context)
{
	MemoryContext caller;
	Parser		parser = {0};

	check_length(source);

	caller = MemoryContextSwitchTo(context);
	parser.template = palloc0(sizeof(ActTemplate));
	parser.template->source = pstrdup(source);
	parser.room = 8;
	parser.template->pieces = palloc(parser.room * sizeof(Piece));
	parser.at = parser.template->source;

	while (*parser.at != '\0')
	{
		char		c = *parser.at;

		if (strchr("[]{}", c) == NULL || parser.at[1] == c)
			read_text(&parser);
		else if (c == '[')
			read_open(&parser);
		else if (c == ']')
			read_close(&parser);
		else if (c == '{')
			read_field(&parser);
		else
			complain(&parser, parser.at, "\"}\" without \"{\"",
					 "Write \"}}\" for the character itself.");
	}
	if (parser.open_at != NULL)
		complain(&parser, parser.open_at, "\"[\" without \"]\"",
				 "Close the group, or write \"[[\" for the character itself.");

	MemoryContextSwitchTo(caller);
	return parser.template;
}

/*
 * The sentence, palloc'd.  subject and metadata may be NULL, and what isn't an
 * object has no fields; metadata wins.
 */
text *
act_template_render(const ActTemplate *template,
					Jsonb *subject, Jsonb *metadata)
{
	JsonbContainer *subject_fields = fields_of(subject);
	JsonbContainer *metadata_fields = fields_of(metadata);
	StringInfoData out;
	int			group = -1;		/* the open group's piece */
	int			group_start = 0;	/* and where its text starts */
	int			i;

	initStringInfo(&out);
	out.len = VARHDRSZ;			/* the sentence is built in its place */

	for (i = 0; i < template->npieces; i++)
	{
		const Piece *piece = &template->pieces[i];

		switch (piece->kind)
		{
			case PIECE_TEXT:
				appendBinaryStringInfo(&out, piece->text, piece->len);
				break;
			case PIECE_FIELD:
				if (append_field(&out, piece, subject_fields, metadata_fields))
					break;
				if (group < 0)
					appendBinaryStringInfo(&out, piece->alternatives[0].text,
										   piece->alternatives[0].len);
				else
				{
					out.len = group_start;
					i = template->pieces[group].close;
					group = -1;
				}
				break;
			case PIECE_OPEN:
				group = i;
				group_start = out.len;
				break;
			case PIECE_CLOSE:
				group = -1;
				break;
		}
	}

	SET_VARSIZE(out.data, out.len);
	return (text *) out.data;
}

/*
 * The value of a field, metadata before subject (either may be NULL); false if
 * it is in neither, or null.
 */
bool
act_template_look_up(Jsonb *subject, Jsonb *metadata,
					 const char *name, int len, JsonbValue *value)
{
	return find_field(fields_of(metadata), name, len, value) ||
		find_field(fields_of(subject), name, len, value);
}

/* Whether it may be the name of a field in a template: no blanks, no marks. */
bool
act_template_is_name(const char *name, int len)
{
	int			i;

	if (len == 0 || len > ACT_FIELD_NAME_MAX)
		return false;
	for (i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) name[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			  (c >= '0' && c <= '9') || c == '_' || c == '-' ||
			  IS_HIGHBIT_SET(c)))
			return false;
	}
	return true;
}

/* Reads "[". */
static void
read_open(Parser *parser)
{
	if (parser->open_at != NULL)
		complain(parser, parser->at, "\"[\" inside of \"[\"",
				 "Groups don't nest: close the first one, or write \"[[\" for the character itself.");
	parser->open_at = parser->at++;
	parser->group_has_field = false;
	add_piece(parser, PIECE_OPEN);
	parser->open = parser->template->npieces - 1;
}

/* Reads "]". */
static void
read_close(Parser *parser)
{
	if (parser->open_at == NULL)
		complain(parser, parser->at, "\"]\" without \"[\"",
				 "Write \"]]\" for the character itself.");
	if (!parser->group_has_field)
		complain(parser, parser->open_at, "no field between \"[\" and \"]\"",
				 "A group is dropped when a field in it is absent. Write \"[[\" and \"]]\" for the characters themselves.");
	add_piece(parser, PIECE_CLOSE);
	parser->template->pieces[parser->open].close =
		parser->template->npieces - 1;
	parser->open_at = NULL;
	parser->at++;
}

/* Reads "{a}" or "{a|b|Text}". */
static void
read_field(Parser *parser)
{
	const char *open = parser->at;
	const char *start = open + 1;
	const char *c;
	Piece	   *piece = add_piece(parser, PIECE_FIELD);

	for (c = start; *c != '}'; c++)
	{
		if (*c == '\0')
			complain(parser, open, "\"{\" without \"}\"",
					 "Close the field, or write \"{{\" for the character itself.");
		if (strchr("{[]", *c) != NULL)
			complain(parser, c, "a bracket inside of \"{\"",
					 "Between \"{\" and \"}\" stand the names of fields, and text as the last alternative.");
		if (*c == '|')
		{
			add_alternative(parser, piece, start, c - start, false);
			start = c + 1;
		}
	}
	add_alternative(parser, piece, start, c - start, true);
	parser->group_has_field = true;
	parser->at = c + 1;
}

/* Reads text up to the next single bracket; a doubled one ends it, once. */
static void
read_text(Parser *parser)
{
	Piece	   *piece = add_piece(parser, PIECE_TEXT);
	int			len = strcspn(parser->at, "[]{}");
	bool		is_doubled = parser->at[len] != '\0' &&
		parser->at[len + 1] == parser->at[len];

	piece->text = parser->at;
	piece->len = len + (is_doubled ? 1 : 0);
	parser->at += len + (is_doubled ? 2 : 0);
}

/* A new last piece; good until the next one is added. */
static Piece *
add_piece(Parser *parser, PieceKind kind)
{
	ActTemplate *template = parser->template;
	Piece	   *piece;

	if (template->npieces == parser->room)
	{
		parser->room *= 2;
		template->pieces = repalloc(template->pieces,
									parser->room * sizeof(Piece));
	}
	piece = &template->pieces[template->npieces++];
	memset(piece, 0, sizeof(Piece));
	piece->kind = kind;
	return piece;
}

/* Adds one of the alternatives of a field, which only as the last may be text. */
static void
add_alternative(Parser *parser, Piece *piece,
				const char *text, int len, bool is_last)
{
	Alternative *alternative;
	bool		is_field = act_template_is_name(text, len);

	if (len == 0)
		complain(parser, text, "an empty alternative",
				 "Name a field; what may be absent goes between \"[\" and \"]\".");
	if (!is_field && !(is_last && piece->nalternatives > 0))
		complain(parser, text, "not the name of a field",
				 "Names consist of letters, digits, \"_\" and \"-\"; text may only be the last of several alternatives.");

	if (piece->nalternatives == 0)
		piece->alternatives = palloc(sizeof(Alternative));
	else
		piece->alternatives = repalloc(piece->alternatives,
									   (piece->nalternatives + 1) *
									   sizeof(Alternative));
	alternative = &piece->alternatives[piece->nalternatives++];
	alternative->text = text;
	alternative->len = len;
	alternative->is_field = is_field;
}

/* Refuses what is empty, blank or longer than a sentence can be. */
static void
check_length(const char *source)
{
	if (source[strspn(source, " \t\r\n")] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_ACT_BAD_TEMPLATE),
				 errmsg("bad template: it is empty"),
				 errhint("A template is a sentence such as: Report \"{name}\" was exported[ by {email}]")));
	if (strlen(source) > ACT_TEMPLATE_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_ACT_BAD_TEMPLATE),
				 errmsg("bad template: it is %zu bytes long",
						strlen(source)),
				 errdetail("A template has at most %d bytes.",
						   ACT_TEMPLATE_MAX),
				 errhint("Put long texts into metadata.")));
}

/* Throws, naming the place as the reader counts it: in characters, from 1. */
static void
complain(Parser *parser, const char *at, const char *what, const char *hint)
{
	const char *source = parser->template->source;

	ereport(ERROR,
			(errcode(ERRCODE_ACT_BAD_TEMPLATE),
			 errmsg("bad template: %s at character %d",
					what, pg_mbstrlen_with_len(source, at - source) + 1),
			 errdetail("The template is: %s", source),
			 errhint("%s", hint)));
}

/*
 * Appends what a field prints; false, appending nothing, if it is absent and
 * has no alternative.
 */
static bool
append_field(StringInfo out, const Piece *piece,
			 JsonbContainer *subject, JsonbContainer *metadata)
{
	const Alternative *last = &piece->alternatives[piece->nalternatives - 1];
	const Alternative *alternative;

	for (alternative = piece->alternatives; alternative <= last; alternative++)
	{
		JsonbValue	value;

		if (alternative->is_field &&
			(find_field(metadata, alternative->text, alternative->len, &value) ||
			 find_field(subject, alternative->text, alternative->len, &value)))
		{
			append_value(out, &value);
			return true;
		}
	}
	if (piece->nalternatives == 1)
		return false;
	appendBinaryStringInfo(out, last->text, last->len);
	return true;
}

/* Its fields; NULL unless it is an object. */
static JsonbContainer *
fields_of(Jsonb *jsonb)
{
	if (jsonb == NULL || !JB_ROOT_IS_OBJECT(jsonb))
		return NULL;
	return &jsonb->root;
}

/* Looks a field up without copying; false if it is absent or null. */
static bool
find_field(JsonbContainer *container, const char *name, int len,
		   JsonbValue *value)
{
	return container != NULL &&
		getKeyJsonValueFromContainer(container, name, len, value) != NULL &&
		value->type != jbvNull;
}

/* Appends a value as people read it. */
static void
append_value(StringInfo out, const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			appendStringInfoString(out, "null");
			break;
		case jbvString:
			appendBinaryStringInfo(out, value->val.string.val,
								   value->val.string.len);
			break;
		case jbvNumeric:
			/* The numeric's own way without trailing zeros. */
			appendStringInfoString(out, numeric_normalize(value->val.numeric));
			break;
		case jbvBool:
			appendStringInfoString(out, value->val.boolean ? "true" : "false");
			break;
		case jbvBinary:
			if (JsonContainerIsArray(value->val.binary.data))
				append_array(out, value->val.binary.data);
			else
				JsonbToCString(out, value->val.binary.data,
							   value->val.binary.len);
			break;
		default:
			elog(ERROR, "unexpected jsonb value type %d", (int) value->type);
	}
}

/* Appends {1,2,3}; arrays inside it likewise. */
static void
append_array(StringInfo out, JsonbContainer *array)
{
	JsonbIterator *iterator = JsonbIteratorInit(array);
	JsonbIteratorToken token;
	JsonbValue	element;
	bool		is_first = true;

	check_stack_depth();

	appendStringInfoChar(out, '{');
	/* Nested containers come as one element each. */
	token = JsonbIteratorNext(&iterator, &element, false);
	while ((token = JsonbIteratorNext(&iterator, &element, true)) == WJB_ELEM)
	{
		if (!is_first)
			appendStringInfoChar(out, ',');
		is_first = false;
		append_value(out, &element);
	}
	appendStringInfoChar(out, '}');
}
