/*
 * The text of mount options: what stands between commas, as mount(2)'s `data` and bootargs have it.
 */
#include <core/string.h>
#include <libos/vfs.h>

const char *mount_option_next(const char **list, size_t *len)
{
	const char *option = *list;

	while (option && *option == ',')
		option++;
	if (!option || !*option)
		return NULL;
	*list = str_find(option, ',');
	*len = *list ? (size_t)(*list - option) : str_length(option);
	return option;
}
