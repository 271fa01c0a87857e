/*
 * option.c
 *		What the gateway is told: by flags, environment and file.
 */
#include "option.h"

#include "address.h"
#include "buffer.h"
#include "log.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>

#define PREFIX "ACTIVITY_GATEWAY_"
#define OPTIONS_MOST 64

Options		options;

/* Which options something has been said about, by a better source. */
typedef struct Reading
{
	Options    *into;
	bool		said[OPTIONS_MOST];
} Reading;

static char *wrong(const char *format,...) __attribute__((format(printf, 1, 2)));

static char *
wrong(const char *format,...)
{
	char	   *text = NULL;
	va_list		args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		abort();
	va_end(args);
	return text;
}

static void *
field_of(Options *into, const Option *option)
{
	return (char *) into + option->field;
}

static const Option *
find_option(const char *name, size_t len)
{
	for (const Option *option = option_table; option->name; option++)
		if (strlen(option->name) == len && strncmp(option->name, name, len) == 0)
			return option;
	return NULL;
}

static void
add_to_list(char ***list, const char *value)
{
	size_t		count = 0;

	while (*list && (*list)[count])
		count++;
	*list = reallocate(*list, (count + 2) * sizeof(char *));
	(*list)[count] = copy_text(value);
	(*list)[count + 1] = NULL;
}

static char *
set_flag(bool *flag, const Option *option, const char *value)
{
	static const char *const yes[] = {"on", "true", "yes", "1"};
	static const char *const no[] = {"off", "false", "no", "0"};

	for (int i = 0; i < 4; i++)
	{
		if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0)
		{
			*flag = strcmp(value, yes[i]) == 0;
			return NULL;
		}
	}
	return wrong("option \"%s\" is on or off, not \"%s\"", option->name, value);
}

static char *
set_number(int *number, const Option *option, const char *value)
{
	char	   *end;
	long		read;

	errno = 0;
	read = strtol(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || !isdigit((unsigned char) value[0]) ||
		read < option->least || read > option->most)
		return wrong("option \"%s\" is a number from %d to %d, not \"%s\"",
					 option->name, option->least, option->most, value);
	*number = read;
	return NULL;
}

static char *
set_value(Options *into, const Option *option, const char *value)
{
	void	   *field = field_of(into, option);

	switch (option->kind)
	{
		case OPTION_FLAG:
			return set_flag(field, option, value);
		case OPTION_NUMBER:
			return set_number(field, option, value);
		case OPTION_LIST:
			add_to_list(field, value);
			return NULL;
		case OPTION_TEXT:
			break;
	}
	free(*(char **) field);
	*(char **) field = copy_text(value);
	return NULL;
}

static char *
read_flags(Reading *reading, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
	{
		const char *name = argv[i];
		const char *equals;
		const Option *option;
		const char *value = "on";
		char	   *error;

		if (strncmp(name, "--", 2) != 0)
			return wrong("\"%s\" is no option", name);
		name += 2;
		equals = strchr(name, '=');
		option = find_option(name, equals ? (size_t) (equals - name) : strlen(name));
		if (option == NULL)
			return wrong("there is no option \"--%s\"", name);
		if (equals)
			value = equals + 1;
		else if (option->kind != OPTION_FLAG && ++i >= argc)
			return wrong("option \"--%s\" wants a value", name);
		else if (option->kind != OPTION_FLAG)
			value = argv[i];
		error = set_value(reading->into, option, value);
		if (error)
			return error;
		reading->said[option - option_table] = true;
	}
	return NULL;
}

/* Lists have spaces between their elements here. */
static char *
set_words(Options *into, const Option *option, const char *value)
{
	char	   *copy;
	char	   *rest;
	char	   *word;

	if (option->kind != OPTION_LIST)
		return set_value(into, option, value);
	copy = rest = copy_text(value);
	while ((word = strsep(&rest, " \t,")) != NULL)
		if (*word)
			add_to_list(field_of(into, option), word);
	free(copy);
	return NULL;
}

static char *
read_environment(Reading *reading)
{
	char	   *error = NULL;

	for (const Option *option = option_table; option->name && !error; option++)
	{
		char		name[64] = PREFIX;
		char	   *out = name + strlen(PREFIX);
		const char *value;

		for (const char *c = option->name; *c; c++)
			*out++ = *c == '-' ? '_' : toupper((unsigned char) *c);
		*out = '\0';
		value = getenv(name);
		if (value == NULL || reading->said[option - option_table])
			continue;
		error = set_words(reading->into, option, value);
		reading->said[option - option_table] = true;
	}
	return error;
}

static char *
trim(char *text)
{
	char	   *end;

	while (isspace((unsigned char) *text))
		text++;
	end = text + strlen(text);
	while (end > text && isspace((unsigned char) end[-1]))
		*--end = '\0';
	return text;
}

static char *
read_line(Reading *reading, char *line, const char *file, int number, bool *seen)
{
	char	   *equals = strchr(line, '=');
	char	   *name = trim(line);
	const Option *option;
	char	   *error;
	char	   *located;

	if (*name == '\0' || *name == '#')
		return NULL;
	if (equals == NULL)
		return wrong("%s:%d: a line is `name = value`", file, number);
	*equals = '\0';
	name = trim(name);
	option = find_option(name, strlen(name));
	if (option == NULL || option->field == offsetof(Options, config))
		return wrong("%s:%d: there is no option \"%s\"", file, number, name);
	if (reading->said[option - option_table])
		return NULL;
	if (seen[option - option_table] && option->kind != OPTION_LIST)
		return wrong("%s:%d: option \"%s\" comes twice", file, number, name);
	seen[option - option_table] = true;
	error = set_words(reading->into, option, trim(equals + 1));
	if (error == NULL)
		return NULL;
	located = wrong("%s:%d: %s", file, number, error);
	free(error);
	return located;
}

static char *
read_file(Reading *reading, const char *file)
{
	FILE	   *in = fopen(file, "r");
	bool		seen[OPTIONS_MOST] = {0};
	char	   *error = NULL;
	char	   *line = NULL;
	size_t		size = 0;
	int			number = 0;

	if (in == NULL)
		return wrong("could not open \"%s\": %s", file, strerror(errno));
	while (error == NULL && getline(&line, &size, in) >= 0)
		error = read_line(reading, line, file, ++number, seen);
	if (error == NULL && ferror(in))
		error = wrong("could not read \"%s\": %s", file, strerror(errno));
	free(line);
	fclose(in);
	return error;
}

char *
options_read(Options *into, int argc, char **argv)
{
	Reading		reading = {.into = into};
	char	   *error;

	memset(into, 0, sizeof(*into));
	for (const Option *option = option_table; option->name; option++)
	{
		Assert(option - option_table < OPTIONS_MOST);
		if (option->kind == OPTION_LIST)
			*(char ***) field_of(into, option) = allocate(sizeof(char *));
		else if (option->fallback)
			free(set_value(into, option, option->fallback));
	}
	error = read_flags(&reading, argc, argv);
	if (error == NULL)
		error = read_environment(&reading);
	if (error == NULL && into->config)
		error = read_file(&reading, into->config);
	return error;
}

static char *
check_networks(char **list, const char *name)
{
	for (; *list; list++)
	{
		Network		network;

		if (!network_parse(*list, &network))
			return wrong("option \"%s\" is a network such as 10.0.0.0/8, not \"%s\"",
						 name, *list);
	}
	return NULL;
}

char *
options_check(const Options *read)
{
	char	   *error;

	if (read->database == NULL)
		return wrong("option \"database\" is missing: a connection string such as \"host=/run/postgresql dbname=app user=gateway\"");
	if (!read->tls_certificate != !read->tls_key)
		return wrong("options \"tls-certificate\" and \"tls-key\" come together");
	if (log_level_of(read->log_level) < 0)
		return wrong("option \"log-level\" is debug, info, warning or error, not \"%s\"",
					 read->log_level);
	if (strrchr(read->listen, ':') == NULL)
		return wrong("option \"listen\" is an address and a port such as 127.0.0.1:8080, not \"%s\"",
					 read->listen);
	if (read->public_url && strncmp(read->public_url, "http://", 7) != 0 &&
		strncmp(read->public_url, "https://", 8) != 0)
		return wrong("option \"public-url\" begins with http:// or https://, unlike \"%s\"",
					 read->public_url);
	error = check_networks(read->webhook_allow, "webhook-allow");
	return error ? error : check_networks(read->trusted_proxy, "trusted-proxy");
}

static bool
is_same(const Option *option, void *a, void *b)
{
	if (option->kind == OPTION_FLAG)
		return *(bool *) a == *(bool *) b;
	if (option->kind == OPTION_NUMBER)
		return *(int *) a == *(int *) b;
	if (option->kind == OPTION_LIST)
	{
		char	  **x = *(char ***) a;
		char	  **y = *(char ***) b;

		for (; *x && *y && strcmp(*x, *y) == 0; x++, y++)
			;
		return *x == NULL && *y == NULL;
	}
	a = *(char **) a;
	b = *(char **) b;
	return a == b || (a && b && strcmp(a, b) == 0);
}

void
options_reload(Options *read)
{
	for (const Option *option = option_table; option->name; option++)
	{
		char		swap[sizeof(char *)];
		void	   *mine = field_of(&options, option);
		void	   *theirs = field_of(read, option);
		size_t		size = option->kind == OPTION_FLAG ? sizeof(bool) :
			option->kind == OPTION_NUMBER ? sizeof(int) : sizeof(char *);

		if (is_same(option, mine, theirs))
			continue;
		if (!option->reload)
		{
			log_line(LOG_WARNING, "event=reload option=%s problem=\"needs a restart\"",
					 option->name);
			continue;
		}
		memcpy(swap, mine, size);
		memcpy(mine, theirs, size);
		memcpy(theirs, swap, size);
		log_line(LOG_INFO, "event=reload option=%s", option->name);
	}
}

void
options_free(Options *read)
{
	for (const Option *option = option_table; option->name; option++)
	{
		char	 ***field = field_of(read, option);

		if (option->kind == OPTION_LIST)
			for (char **item = *field; *item; item++)
				free(*item);
		if (option->kind == OPTION_LIST || option->kind == OPTION_TEXT)
			free(*field);
	}
}

void
options_help(FILE *out)
{
	fputs("activity-gateway serves the stream of activity over WebSocket and SSE, and delivers its webhooks.\n\n"
		  "Usage:\n  activity-gateway --database CONNINFO [OPTION]...\n\nOptions:\n", out);
	for (const Option *option = option_table; option->name; option++)
	{
		fprintf(out, "  --%s%s%s\n      %s", option->name, option->placeholder ? " " : "",
				option->placeholder ? option->placeholder : "", option->help);
		if (option->fallback)
			fprintf(out, " (%s)", option->fallback);
		fputs("\n", out);
	}
	fputs("\nEach is also an environment variable, ACTIVITY_GATEWAY_DATABASE for --database, and a line\n"
		  "of the file. A flag wins over the environment, and that over the file.\n", out);
}
