# Fuzzing the TLS filter's record entry (clang's libFuzzer); included by apps/memcached/native.mk.
# Mbed TLS is built once more for it, with a client, and with its sanitizers and coverage in what reads
# messages; its arithmetic is left fast, so that a handshake takes milliseconds.

tls_fuzz       := $(NATIVE)/fuzz
tls_fuzz_flags := -std=gnu11 -O1 -g -Wall -Wextra -Ilibos/include -Ilibos/tls -I$(tls_fuzz) -DKILN_TLS_CLIENT \
	$(mbedtls_include)
tls_fuzz_check := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
tls_fuzz_own   := $(addprefix libos/tls/,tls_fuzz.c server.c credentials.c ciphers.c connection.c output.c reason.c)
tls_fuzz_fast  := $(filter aes% bignum% block% chacha% constant% ec% gcm% hkdf% md.c poly% rsa% sha%,$(mbedtls_sources))

$(tls_fuzz)/mbedtls/%.o: $(MBEDTLS)/.kiln-lock third_party/mbedtls/config.h third_party/mbedtls.mk libos/tls/fuzz.mk
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)
	$(Q)$(FUZZ_CC) -g $(if $(filter $*.c,$(tls_fuzz_fast)),-O2,-O1 $(tls_fuzz_check)) -DKILN_TLS_CLIENT \
		$(mbedtls_include) -w -c -o $@ $(MBEDTLS)/library/$*.c
$(tls_fuzz)/mbedtls.a: $(addprefix $(tls_fuzz)/,$(native_mbedtls))
	$(Q)rm -f $@ && ar crs $@ $^

# A certificate for the occasion, as two C strings.
$(tls_fuzz)/tls_fuzz_pem.h: libos/tls/fuzz.mk
	$(Q)mkdir -p $(@D)
	$(Q)openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=fuzz \
		-keyout $(tls_fuzz)/key.pem -out $(tls_fuzz)/certificate.pem 2>$(tls_fuzz)/openssl.log
	$(Q)for n in CERTIFICATE KEY; do echo "#define FUZZ_$$n \\"; \
		sed 's/.*/"&\\n" \\/' $(tls_fuzz)/$$(echo $$n | tr A-Z a-z).pem; echo; done > $@

tls_fuzz_rest := $(tls_fuzz)/mbedtls.a $(tls_fuzz)/tls_fuzz_pem.h libos/tls/tls_parts.h libos/tls/fuzz.mk
tls_fuzz_build = $(FUZZ_CC) $(tls_fuzz_flags) $(tls_fuzz_check) -fsanitize=fuzzer -o $@ $(tls_fuzz_own) \
	$(filter %/input.c,$^) $(tls_fuzz)/mbedtls.a

$(NATIVE)/tls_fuzz: libos/tls/input.c $(tls_fuzz_own) $(tls_fuzz_rest)
	$(call say,FUZZ,$@)
	$(Q)$(tls_fuzz_build)

# A build with a bug in it, which the fuzzer must find: a record that goes on behind what has arrived.
$(NATIVE)/planted/input.c: libos/tls/input.c
	@mkdir -p $(@D)
	$(Q)sed '/^	if (len > c->in_len)$$/,+1d' $< > $@
	$(Q)! cmp -s $< $@
$(NATIVE)/tls_fuzz_planted: $(NATIVE)/planted/input.c $(tls_fuzz_own) $(tls_fuzz_rest)
	$(call say,FUZZ,$@)
	$(Q)$(tls_fuzz_build)

test_programs += $(NATIVE)/tls_fuzz $(NATIVE)/tls_fuzz_planted

.PHONY: fuzz-tls
fuzz: fuzz-tls
fuzz-tls: $(NATIVE)/tls_fuzz ## the TLS filter alone
	$(Q)mkdir -p $(NATIVE)/corpus-tls
	$(Q)$< -max_total_time=$(FUZZ_SECONDS) -max_len=20000 -timeout=20 -artifact_prefix=$(NATIVE)/ \
		$(NATIVE)/corpus-tls tests/fuzz/tls
