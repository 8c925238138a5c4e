# Mbed TLS under libos/tls, compiled with third_party/mbedtls/config.h: per image with the image's
# own flags, and for programs of the build machine (apps/memcached/native.mk).

ifndef MBEDTLS
MBEDTLS := $(shell tools/fetch --where mbedtls)
mbedtls_include := -Ithird_party/mbedtls -I$(MBEDTLS)/include \
	-DMBEDTLS_CONFIG_FILE='<config.h>' -ffile-prefix-map=$(MBEDTLS)/=third_party/mbedtls/

mbedtls_sources := \
	aes.c asn1parse.c asn1write.c base64.c bignum.c bignum_core.c bignum_mod.c bignum_mod_raw.c \
	block_cipher.c chacha20.c chachapoly.c cipher.c cipher_wrap.c constant_time.c ecdh.c ecdsa.c \
	ecp.c ecp_curves.c gcm.c hkdf.c md.c oid.c pem.c pk.c pk_ecc.c pk_wrap.c pkparse.c \
	platform_util.c poly1305.c psa_crypto.c psa_crypto_aead.c psa_crypto_cipher.c \
	psa_crypto_client.c psa_crypto_driver_wrappers_no_static.c psa_crypto_ecp.c psa_crypto_hash.c \
	psa_crypto_mac.c psa_crypto_random.c psa_crypto_rsa.c psa_crypto_slot_management.c psa_util.c \
	rsa.c rsa_alt_helpers.c sha256.c sha512.c ssl_ciphersuites.c ssl_client.c \
	ssl_msg.c ssl_ticket.c ssl_tls.c ssl_tls12_client.c \
	ssl_tls12_server.c ssl_tls13_client.c ssl_tls13_generic.c ssl_tls13_keys.c ssl_tls13_server.c \
	threading.c x509.c x509_crt.c
mbedtls_objects := $(addprefix third_party/mbedtls/,$(mbedtls_sources:.c=.o))

# Where a connection spends its instructions.
mbedtls_hot := aes.c gcm.c chacha20.c poly1305.c sha256.c sha512.c bignum_core.c ecp.c ecp_curves.c

$(MBEDTLS)/.kiln-lock: third_party/sources.lock | $(setup)
	$(Q)tools/fetch mbedtls

# $(call mbedtls_rules,object directory,compiler variable,flags,word): objects of Mbed TLS. They want
# the C library's headers, which in an image come with the library.
define mbedtls_rule
$(2)/third_party/mbedtls/$(1:.c=.o): third_party/mbedtls/config.h $(MBEDTLS)/.kiln-lock \
		$(2)/third_party/mbedtls/flags | $(libraries)
	$$(call say,$(5),mbedtls/$(1))
	$$(Q)$$($(3)) $(4) $(if $(filter $(1),$(mbedtls_hot)),-O3) $$(call lto_flags,$(1)) -w -c -o $$@ \
		$(MBEDTLS)/library/$(1)
endef
define mbedtls_rules
$(shell mkdir -p $(1)/third_party/mbedtls)
$(call remember,$(1)/third_party/mbedtls/flags,$($(2)) $(3) $(CONFIG_LTO))
$(foreach s,$(mbedtls_sources),$(eval $(call mbedtls_rule,$(s),$(1),$(2),$(3) $(mbedtls_include),$(4))))
endef
endif
