/*
 * Fuzzing UDP: a byte says how long the next datagram is, and whether it gets a frame of its own
 * that is right or brings one.
 */
#include <string.h>

#include "stream_fuzz.h"
#include "udp.h"

enum { FRAME = 8, LONGEST = 127 * 12 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct stream_datagrams *d;
	uint8_t datagram[FRAME + LONGEST] = { 'i', 'd', 0, 0, 0, 1, 0, 0 };

	fuzz_start();
	if (!d)
		udp_open(NULL, NULL, 0, &d);
	for (size_t at = 0; at < size;) {
		size_t len = (size_t)(data[at] >> 1) * 12, left = size - at - 1;
		int whole = data[at] & 1;

		if (len > left)
			len = left;
		memcpy(datagram + FRAME, data + at + 1, len);
		if (whole)
			fuzz_datagram(d, datagram + FRAME, len);
		else
			fuzz_datagram(d, datagram, FRAME + len);
		at += 1 + len;
	}
	return 0;
}
