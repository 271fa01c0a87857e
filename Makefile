# activity - see README.md. `make demo` shows it, `make check` tests it.
EXTENSION = activity
# Not VERSION: PGXS gives that name to the version of the server.
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(EXTENSION).control)

# The parts of the install script, in the order in which they run.
SQL_PARTS = schema types event_type tables taxonomy record tier feed track \
	append_only guard retention stream health webhook_tables webhook_base webhook_endpoint \
	webhook_delivery webhook_upkeep webhook_view connection access

MODULE_big = activity
OBJS = \
	src/activity.o \
	src/actor.o \
	src/append_only.o \
	src/backlog.o \
	src/capture.o \
	src/chain.o \
	src/change.o \
	src/change_event.o \
	src/ddl_guard.o \
	src/drop_guard.o \
	src/entry.o \
	src/event.o \
	src/event_id.o \
	src/event_type.o \
	src/event_type_define.o \
	src/feed.o \
	src/feed_filter.o \
	src/feed_page.o \
	src/feed_scan.o \
	src/feed_search.o \
	src/feed_list.o \
	src/feed_values.o \
	src/feed_walk.o \
	src/gap.o \
	src/head.o \
	src/incarnation.o \
	src/json.o \
	src/lookup.o \
	src/maintain.o \
	src/member.o \
	src/notify.o \
	src/organization.o \
	src/partition.o \
	src/planted.o \
	src/preset.o \
	src/preset_generic.o \
	src/preset_rule.o \
	src/progress.o \
	src/publisher.o \
	src/record.o \
	src/relation.o \
	src/replay.o \
	src/retry_after.o \
	src/row_scan.o \
	src/segment.o \
	src/settings.o \
	src/signature.o \
	src/stream.o \
	src/stream_trim.o \
	src/suggestion.o \
	src/summary.o \
	src/taxonomy.o \
	src/template.o \
	src/tier.o \
	src/track.o \
	src/tracked_table_ddl.o \
	src/tracking.o \
	src/tracking_plan.o \
	src/tracking_text.o \
	src/tracking_tier.o \
	src/tracking_trigger.o \
	src/upkeep.o \
	src/url.o \
	src/value.o \
	src/verify.o \
	src/webhook_claim.o \
	src/webhook_fan_out.o \
	src/webhook_log.o \
	src/webhook_message.o \
	src/webhook_queue.o \
	src/webhook_report.o \
	src/webhook_row.o \
	src/webhook_rules.o \
	src/webhook_store.o \
	src/webhook_wake.o \
	src/worker.o \
	src/worker_hook.o \
	src/worker_launcher.o \
	src/worker_loop.o \
	src/worker_upkeep.o

DATA_built = $(EXTENSION)--$(EXTVERSION).sql
EXTRA_CLEAN = $(EXTENSION)--*.sql src/*_data.h tmp_check

# Only what is marked leaves the library; before PostgreSQL 16 the mark is empty.
PG_CFLAGS = -fvisibility=hidden -Isrc \
	'-DPGDLLEXPORT=__attribute__((visibility("default")))'
# The tests, in their order. pg_regress 15 looks into sql/ before test/sql/, so a
# test must not be named like a part of the install script.
REGRESS = \
	event_type_values \
	event_type_definitions \
	descriptions \
	feed_pages \
	tracked_tables \
	webhook_body
ISOLATION = \
	definition_changes \
	feed_snapshot \
	new_organization \
	partition_making \
	publish \
	publish_in_parts \
	publish_in_turn \
	same_id \
	tracking_and_writing \
	webhook_claim_claim \
	webhook_claim_disable \
	webhook_claim_months \
	webhook_claim_moved \
	webhook_delete_report \
	webhook_publish_claim \
	webhook_report_expiry \
	webhook_report_order \
	webhook_report_twice \
	webhook_rotate_claim
ifneq ($(filter $(SQL_PARTS),$(REGRESS)),)
$(error a test is named like a part in sql/: $(filter $(SQL_PARTS),$(REGRESS)))
endif
# expected/ serves both; 15 finds it in the output folder, later ones are told.
TEST_OPTS = --inputdir=test --outputdir=. \
	--load-extension=pgcrypto --load-extension=activity
REGRESS_OPTS = $(TEST_OPTS)
ISOLATION_OPTS = $(TEST_OPTS)
TAP_TESTS = 1
PROVE_TESTS ?= test/t/*.pl

# These build by themselves, in a folder of their own, and so need no PostgreSQL
# to begin with; PGXS, which does, has another idea of check.
OWN_GOALS = check quick-check demo matrix
PG_CONFIG ?= pg_config

.DEFAULT_GOAL = all
.PHONY: $(OWN_GOALS) demo-stop
ifneq ($(filter $(OWN_GOALS) demo-stop bench-%,$(MAKECMDGOALS)),)
export PG_CONFIG
$(OWN_GOALS):
	@setpriv --pdeathsig TERM scripts/$@
demo-stop:
	@scripts/demo stop
# Each measurement in bench/ is a goal: bench/NAME is run by `make bench-NAME`.
bench-%:
	@bench/$*
else

PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(PGXS),)
$(error PG_CONFIG names no pg_config (Debian: postgresql-server-dev-NN))
endif
include $(PGXS)
ifneq ($(shell expr $(MAJORVERSION) '>=' 16),0)
TEST_OPTS += --expecteddir=.
endif

$(EXTENSION)--$(EXTVERSION).sql: $(SQL_PARTS:%=sql/%.sql) Makefile
	cat $(SQL_PARTS:%=sql/%.sql) >$@

$(OBJS): $(wildcard src/*.h) Makefile

# The built-in taxonomy as C; a bad row fails here, not at the first event.
src/taxonomy_data.h: data/taxonomy.tsv scripts/taxonomy-header
	LC_ALL=C scripts/taxonomy-header data/taxonomy.tsv >$@.new
	mv $@.new $@
src/taxonomy.o src/taxonomy.bc: src/taxonomy_data.h

# The presets of activity.track() as a C string.
src/preset_data.h: data/presets.json
	{ echo 'static const char preset_data[] ='; \
	  sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/"&\\n"/' data/presets.json; \
	  echo ';'; } >$@.new
	mv $@.new $@
src/preset.o src/preset.bc: src/preset_data.h

# For scripts/check: what a list above holds.
print-%:
	@echo $($*)

endif
