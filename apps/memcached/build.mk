objs-$(CONFIG_APP_MEMCACHED) += main.o options.o options_extended.o options_help.o clock.o number.o hash.o memory.o table.o slab.o lru.o \
	reclaim.o item.o cache.o stats.o conn.o text.o text_fetch.o text_store.o text_admin.o text_stats.o text_sections.o \
	meta.o meta_set.o meta_change.o meta_flags.o base64.o
# Numbers for a monitor, in images that have one.
objs-$(and $(CONFIG_APP_MEMCACHED),$(CONFIG_MONITOR)) += metrics.o
