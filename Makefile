# activity - see README.md. `make demo` shows it, `make check` tests it.
EXTENSION = activity
# The tree, with a slash, empty if that is where make runs (PGXS knows it as $(srcdir),
# but only further down).
HERE := $(filter-out ./,$(dir $(firstword $(MAKEFILE_LIST))))
# Not VERSION: PGXS gives that name to the version of the server.
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(HERE)$(EXTENSION).control)

# The parts of the install script, in the order in which they run.
SQL_PARTS = schema version types event_type tables aside taxonomy record tier feed track \
	append_only guard retention stream webhook_tables webhook_base webhook_endpoint \
	webhook_delivery webhook_upkeep webhook_view connection token serve audit compliance reads export \
	consumer measure rollup cells analytics mrr seal own_index health member \
	http_route http_answer http_caller http_activity http_session http_realtime http_webhook \
	http_member http_analytics http_export http_lines http_idempotency http_example http_openapi http \
	move_out move_in citus access finish

MODULE_big = activity
OBJS = \
	src/activity.o \
	src/settings.o \
	src/xact.o \
	src/base/cache.o \
	src/base/json.o \
	src/base/json_print.o \
	src/base/own_row.o \
	src/base/own_table.o \
	src/base/own_table_guard.o \
	src/base/utf8.o \
	src/base/value.o \
	src/base/version.o \
	src/wake/wake.o \
	src/event/append_only.o \
	src/event/aside.o \
	src/event/event.o \
	src/event/id.o \
	src/event/incarnation.o \
	src/event/lookup.o \
	src/event/month.o \
	src/event/organization.o \
	src/event/owner.o \
	src/event/plant.o \
	src/taxonomy/define.o \
	src/taxonomy/event_type.o \
	src/taxonomy/suggestion.o \
	src/taxonomy/taxonomy.o \
	src/taxonomy/template.o \
	src/record/actor.o \
	src/record/message.o \
	src/record/record.o \
	src/record/size.o \
	src/track/capture.o \
	src/track/change.o \
	src/track/change_event.o \
	src/track/follow_tier.o \
	src/track/gap.o \
	src/track/member.o \
	src/track/plan.o \
	src/track/preset.o \
	src/track/preset_generic.o \
	src/track/preset_rule.o \
	src/track/row.o \
	src/track/row_scan.o \
	src/track/spread.o \
	src/track/table_ddl.o \
	src/track/text.o \
	src/track/tier.o \
	src/track/track.o \
	src/track/tracking.o \
	src/track/trigger.o \
	src/feed/entry.o \
	src/feed/feed.o \
	src/feed/filter.o \
	src/feed/list.o \
	src/feed/page.o \
	src/feed/read_note.o \
	src/feed/scan.o \
	src/feed/search.o \
	src/feed/tally.o \
	src/feed/types.o \
	src/feed/values.o \
	src/feed/walk.o \
	src/stream/backlog.o \
	src/stream/batch.o \
	src/stream/chain.o \
	src/stream/expiry.o \
	src/stream/head.o \
	src/stream/progress.o \
	src/stream/position.o \
	src/stream/publisher.o \
	src/stream/replay.o \
	src/stream/right.o \
	src/stream/segment.o \
	src/stream/stream.o \
	src/stream/subscriber.o \
	src/stream/trim.o \
	src/stream/verification.o \
	src/stream/verify.o \
	src/export/csv.o \
	src/export/envelope.o \
	src/export/event_line.o \
	src/export/export.o \
	src/export/exported.o \
	src/export/proof.o \
	src/export/scope.o \
	src/http/call.o \
	src/http/check_export.o \
	src/http/page.o \
	src/http/parse.o \
	src/http/route.o \
	src/consumer/lag.o \
	src/consumer/poll.o \
	src/consumer/statement.o \
	src/webhook/claim.o \
	src/webhook/clock.o \
	src/webhook/fan_out.o \
	src/webhook/log.o \
	src/webhook/message.o \
	src/webhook/ready.o \
	src/webhook/report.o \
	src/webhook/request.o \
	src/webhook/retry_after.o \
	src/webhook/rules.o \
	src/webhook/signature.o \
	src/webhook/store.o \
	src/webhook/url.o \
	src/move/export.o \
	src/move/import.o \
	src/numbers/ask.o \
	src/numbers/cell.o \
	src/numbers/compact.o \
	src/numbers/fold.o \
	src/numbers/measure.o \
	src/numbers/rolled.o src/numbers/settled.o src/numbers/sum.o \
	src/numbers/summary.o \
	src/numbers/total.o \
	src/upkeep/call.o \
	src/upkeep/ddl_guard.o \
	src/upkeep/drop_guard.o \
	src/upkeep/maintain.o \
	src/upkeep/personal.o \
	src/upkeep/redact.o \
	src/upkeep/remake.o \
	src/upkeep/shape_guard.o \
	src/upkeep/step.o \
	src/worker/hook.o \
	src/worker/launcher.o \
	src/worker/loop.o \
	src/worker/upkeep.o

# What was released, and so can be upgraded.
RELEASES := $(shell sed '1d; s/[[:space:]].*//' $(HERE)sql/releases.tsv)

DATA_built = $(EXTENSION)--$(EXTVERSION).sql $(RELEASES:%=$(EXTENSION)--%--$(EXTVERSION).sql)
EXTRA_CLEAN = $(EXTENSION)--*.sql src/*/*_data.h tmp_check META.json

# Only what is marked leaves the library; before PostgreSQL 16 the mark is empty.
PG_CFLAGS = -fvisibility=hidden \
	'-DPGDLLEXPORT=__attribute__((visibility("default")))'
# In PG_CPPFLAGS, because the bitcode is made with these alone; the second folder is
# where a build outside the tree puts the generated headers.
PG_CPPFLAGS = -I$(srcdir)/src -Isrc

# As pgcrypto, which the extension needs anyway.
SHLIB_LINK = -lcrypto

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
	consumer_ack_poll \
	definition_changes \
	feed_snapshot \
	new_organization \
	numbers_moved \
	partition_making \
	publish \
	publish_in_parts \
	publish_in_turn \
	redact \
	refold_publish \
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
OWN_GOALS = check check-citus quick-check check-packages check-container check-first-minutes check-big-endian release-check demo matrix fuzz
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

# What follows names its prerequisites by $(srcdir), so that it works outside the tree,
# too, where the folders of the objects don't exist yet.
ifdef VPATH
$(shell mkdir -p $(sort $(dir $(OBJS))))
endif

$(EXTENSION)--$(EXTVERSION).sql: $(SQL_PARTS:%=$(srcdir)/sql/%.sql) $(srcdir)/Makefile
	cat $(SQL_PARTS:%=$(srcdir)/sql/%.sql) >$@

# What leads from each release to here: the difference, and what was written by hand.
$(RELEASES:%=$(EXTENSION)--%--$(EXTVERSION).sql): $(EXTENSION)--%--$(EXTVERSION).sql: \
		$(SQL_PARTS:%=$(srcdir)/sql/%.sql) $(wildcard $(srcdir)/sql/upgrade/*.sql) $(srcdir)/sql/releases.tsv \
		$(srcdir)/sql/released/% $(srcdir)/scripts/upgrade-script $(srcdir)/Makefile
	$(srcdir)/scripts/upgrade-script $* $(SQL_PARTS:%=$(srcdir)/sql/%.sql) >$@.new
	mv $@.new $@

# The description for PGXN, with the version that activity.control alone has.
META.json: $(srcdir)/META.json.in $(srcdir)/$(EXTENSION).control
	sed 's/@VERSION@/$(EXTVERSION)/' $(srcdir)/META.json.in >$@

$(OBJS): $(wildcard $(srcdir)/src/*.h $(srcdir)/src/*/*.h) $(srcdir)/Makefile

# What applications record, and what the extension records of itself; codes are
# numbered through, so the first file is complete.
TAXONOMY = $(srcdir)/data/taxonomy.tsv $(srcdir)/data/taxonomy-own.tsv

# The built-in taxonomy as C; a bad row fails here, not at the first event.
src/taxonomy/taxonomy_data.h: $(TAXONOMY) $(srcdir)/scripts/taxonomy-header
	LC_ALL=C $(srcdir)/scripts/taxonomy-header $(TAXONOMY) >$@.new
	mv $@.new $@
src/taxonomy/taxonomy.o src/taxonomy/taxonomy.bc: src/taxonomy/taxonomy_data.h

# The version, and those before it whose catalog the library works with.
src/base/version_data.h: $(srcdir)/$(EXTENSION).control $(srcdir)/sql/releases.tsv
	{ echo '#define ACT_VERSION "$(EXTVERSION)"'; \
	  awk -F '\t' 'BEGIN { printf "#define ACT_KNOWN_VERSIONS ACT_VERSION" } \
		$$3 == "known" { printf ", \"%s\"", $$1 } END { print "" }' $(srcdir)/sql/releases.tsv; } >$@.new
	mv $@.new $@
src/base/version.o src/base/version.bc: src/base/version_data.h

# The presets of activity.track() as a C string.
src/track/preset_data.h: $(srcdir)/data/presets.json
	{ echo 'static const char preset_data[] ='; \
	  sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/"&\\n"/' $(srcdir)/data/presets.json; \
	  echo ';'; } >$@.new
	mv $@.new $@
src/track/preset.o src/track/preset.bc: src/track/preset_data.h

# The gateway is a program by itself, with libraries of its own; where they are
# missing, everything else is built. `make gateway` says what is missing.
# In the tree its folder has no name here, because make knows none with a space.
GATEWAY = $(MAKE) -C $(srcdir)/gateway O=$(if $(HERE),$(CURDIR)/gateway,.) 'DASHBOARD=$(datadir)/activity-dashboard'
.PHONY: gateway install-gateway uninstall-gateway clean-gateway
gateway:
	+@$(GATEWAY) --no-print-directory -s libraries
	+@$(GATEWAY) --no-print-directory all
install-gateway: gateway
	$(MKDIR_P) '$(DESTDIR)$(bindir)'
	$(INSTALL_PROGRAM) gateway/activity-gateway '$(DESTDIR)$(bindir)'
	$(MKDIR_P) '$(DESTDIR)$(mandir)/man1'
	$(INSTALL_DATA) $(srcdir)/gateway/activity-gateway.1 '$(DESTDIR)$(mandir)/man1'
uninstall-gateway:
	rm -f '$(DESTDIR)$(bindir)/activity-gateway' '$(DESTDIR)$(mandir)/man1/activity-gateway.1'
clean-gateway:
	+@$(GATEWAY) --no-print-directory clean
WITH_GATEWAY ?= yes
ifeq ($(WITH_GATEWAY)$(shell $(MAKE) -s --no-print-directory -C $(srcdir)/gateway libraries >/dev/null 2>&1 && echo yes),yesyes)
all: gateway
install: install-gateway
endif
uninstall: uninstall-gateway
clean: clean-gateway

# The dashboard is made by Node.js and npm, and only when it is asked for: whoever
# installs without it gets a page that says how.
DASHBOARD = dashboard/built
DASHBOARD_SOURCES = $(wildcard $(addprefix $(srcdir)/dashboard/,build build.js package.json package-lock.json tsconfig.json src/*))
.PHONY: dashboard install-dashboard uninstall-dashboard clean-dashboard
dashboard: $(DASHBOARD)/index.html
$(DASHBOARD)/index.html: $(DASHBOARD_SOURCES)
	@$(srcdir)/dashboard/build $(DASHBOARD)
install-dashboard: dashboard
	$(MKDIR_P) '$(DESTDIR)$(datadir)/activity-dashboard'
	$(INSTALL_DATA) $(addprefix $(DASHBOARD)/,index.html dashboard.js dashboard.css icon.svg) '$(DESTDIR)$(datadir)/activity-dashboard'
uninstall-dashboard:
	rm -rf '$(DESTDIR)$(datadir)/activity-dashboard'
clean-dashboard:
	rm -rf $(DASHBOARD)
WITH_DASHBOARD ?= yes
ifeq ($(WITH_DASHBOARD),yes)
ifneq ($(wildcard $(DASHBOARD)/index.html),)
install: install-dashboard
endif
uninstall: uninstall-dashboard
clean: clean-dashboard
endif

# What goes to PGXN: what git has of HEAD, and META.json.
.PHONY: dist
dist: META.json
	git -c safe.directory='*' -C $(srcdir) archive --format=zip --prefix=$(EXTENSION)-$(EXTVERSION)/ \
		'--add-file=$(CURDIR)/META.json' -o '$(CURDIR)/$(EXTENSION)-$(EXTVERSION).zip' HEAD
	@echo $(EXTENSION)-$(EXTVERSION).zip

# For scripts/check: what a list above holds.
print-%:
	@echo $($*)

endif
