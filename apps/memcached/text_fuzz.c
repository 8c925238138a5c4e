/*
 * Fuzzing the text protocol, and the meta commands with it.
 */
#include "stream_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_converse(PROTOCOL_ASCII, data, size);
}
