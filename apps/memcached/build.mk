mc := $(CONFIG_APP_MEMCACHED)
# the program, and its options
objs-$(mc) += main.o listen.o options.o options_extended.o options_help.o clock.o number.o base64.o
# storage
objs-$(mc) += storage.o cache.o item.o table.o hash.o hash_named.o memory.o slab.o reclaim.o
objs-$(mc) += restart.o lru.o maintainer.o crawler.o mover.o automove.o
# connections and what the protocols share
objs-$(mc) += conn.o udp.o watch.o dump.o prefix.o auth.o fetch.o value.o
# the protocols
objs-$(mc) += text.o text_fast.o text_answer.o text_fetch.o text_store.o text_admin.o text_storage.o text_stats.o
objs-$(mc) += meta.o meta_set.o meta_change.o meta_flags.o
objs-$(mc) += binary.o binary_fetch.o binary_store.o binary_admin.o
# statistics
objs-$(mc) += stats.o report.o stats_general.o stats_settings.o stats_sections.o stats_kiln.o
# Numbers for a monitor, in images that have one.
objs-$(and $(mc),$(CONFIG_MONITOR)) += metrics.o
objs-$(mc) += $(if $(CONFIG_TLS),tls.o,tls_none.o)
objs-$(CONFIG_MEMCACHED_DEBUG) += text_debug.o
