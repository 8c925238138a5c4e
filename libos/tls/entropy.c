/*
 * Random bytes for Mbed TLS: getrandom(), which an image answers from its entropy device and the
 * build machine from its kernel. There is no second generator in between.
 */
#include "tls_parts.h"

#include <errno.h>
#include <psa/crypto.h>
#include <sys/random.h>

int tls_random(void *unused, unsigned char *to, size_t len)
{
	(void)unused;
	while (len > 0) {
		ssize_t n = getrandom(to, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return MBEDTLS_ERR_SSL_HW_ACCEL_FAILED;
		to += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The same for the part of Mbed TLS that speaks PSA. */
psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context,
					     uint8_t *output, size_t output_size,
					     size_t *output_length)
{
	(void)context;
	if (tls_random(NULL, output, output_size) != 0)
		return PSA_ERROR_INSUFFICIENT_ENTROPY;
	*output_length = output_size;
	return PSA_SUCCESS;
}
