# activity - see README.md. `make demo` shows it, `make check` tests it.
EXTENSION = activity
# Not VERSION: PGXS gives that name to the version of the server.
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(EXTENSION).control)

# The parts of the install script, in the order in which they run.
SQL_PARTS = schema types tables record

MODULE_big = activity
OBJS = \
	src/activity.o \
	src/event_id.o \
	src/settings.o

DATA_built = $(EXTENSION)--$(EXTVERSION).sql
EXTRA_CLEAN = $(EXTENSION)--*.sql src/*_data.h

# Only what is marked leaves the library; before PostgreSQL 16 the mark is empty.
PG_CFLAGS = -fvisibility=hidden -Isrc \
	'-DPGDLLEXPORT=__attribute__((visibility("default")))'
PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(EXTENSION)--$(EXTVERSION).sql: $(SQL_PARTS:%=sql/%.sql) Makefile
	cat $(SQL_PARTS:%=sql/%.sql) >$@

$(OBJS): $(wildcard src/*.h) Makefile
