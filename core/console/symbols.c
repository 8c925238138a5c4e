/*
 * Reading .symbol_table (core/riscv/kiln.lds describes it): a binary search over function starts.
 */
#include <core/arch.h>
#include <core/symbols.h>

/* count, address[count], name[count], then the names */
extern const uint32_t symbol_table_start[];
extern const char symbol_table_end[], image_start[], text_end[];

const char *symbol_find(vaddr_t pc, size_t *offset)
{
	const uint32_t *address = symbol_table_start + 1;
	size_t from = 0, to, count, wanted;

	if ((const char *)symbol_table_start == symbol_table_end ||
	    pc < (vaddr_t)image_start || pc >= (vaddr_t)text_end)
		return NULL;
	count = symbol_table_start[0];
	wanted = pc - (vaddr_t)image_start;
	to = count;
	while (from < to) {
		size_t middle = (from + to) / 2;

		if (address[middle] <= wanted)
			from = middle + 1;
		else
			to = middle;
	}
	if (!from)
		return NULL;
	*offset = wanted - address[from - 1];
	return (const char *)&address[2 * count] + address[count + from - 1];
}
