# lwIP: the TCP/IP stack under libos/net, compiled per image with that directory's configuration
# (libos/net/port) and the image's own flags, so that it takes part in link-time optimisation.

LWIP := $(shell tools/fetch --where lwip)
lwip_include := -Ilibos/net/port -I$(LWIP)/src/include -ffile-prefix-map=$(LWIP)/=third_party/lwip/

lwip_sources := \
	$(addprefix core/,def.c dns.c inet_chksum.c init.c ip.c mem.c memp.c netif.c pbuf.c stats.c \
		tcp.c tcp_in.c tcp_out.c timeouts.c udp.c) \
	$(addprefix core/ipv4/,acd.c dhcp.c etharp.c icmp.c igmp.c ip4.c ip4_addr.c ip4_frag.c) \
	$(addprefix core/ipv6/,ethip6.c icmp6.c inet6.c ip6.c ip6_addr.c ip6_frag.c mld6.c nd6.c) \
	netif/ethernet.c
lwip_objects := $(addprefix third_party/lwip/,$(lwip_sources:.c=.o))

$(LWIP)/.kiln-lock: third_party/sources.lock | $(setup)
	$(Q)tools/fetch lwip

# $(call lwip_rules,compiler variable,flags): objects of lwIP under $(O)/obj.
define lwip_rule
$(O)/obj/third_party/lwip/$(1:.c=.o): $(LWIP)/.kiln-lock $(O)/obj/third_party/lwip/flags
	$$(call say,$(2),lwip/$(1))
	$$(Q)$$($(2)) $(3) $$(call lto_flags,$(1)) -w -MMD -MP -MF $$@.d -c -o $$@ $(LWIP)/src/$(1)
	$$(Q)tools/build/fixdep $$@.d $(O)/include
endef
define lwip_rules
$(shell mkdir -p $(addprefix $(O)/obj/third_party/lwip/,core/ipv4 core/ipv6 netif))
$(call remember,$(O)/obj/third_party/lwip/flags,$($(1)) $(2) $(CONFIG_LTO))
$(foreach s,$(lwip_sources),$(eval $(call lwip_rule,$(s),$(1),$(2))))
endef
