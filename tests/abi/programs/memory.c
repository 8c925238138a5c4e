/* Memory: malloc and its relatives, anonymous mappings, protection, what a bad pointer gives. */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>

static uint32_t random_state = 1;

static uint32_t next_random(void)
{
	return random_state = random_state * 1664525u + 1013904223u;
}

static void heap_keeps_contents(void)
{
	enum { SLOTS = 300 };
	static unsigned char *block[SLOTS];
	static size_t size[SLOTS];
	long wrong = 0;

	for (int step = 0; step < 30000; step++) {
		size_t i = next_random() % SLOTS;
		for (size_t k = 0; block[i] && k < size[i]; k += 97)
			wrong += block[i][k] != (unsigned char)(i + k);
		switch (next_random() % 3) {
		case 0:
			free(block[i]);
			block[i] = NULL;
			break;
		default:
			size[i] = next_random() % (next_random() % 50 ? 600 : 200000) + 1;
			block[i] = realloc(block[i], size[i]);
			if (!block[i])
				printf("out of memory\n");
			for (size_t k = 0; block[i] && k < size[i]; k++)
				block[i][k] = (unsigned char)(i + k);
		}
	}
	for (int i = 0; i < SLOTS; i++)
		free(block[i]);
	printf("wrong bytes %ld\n", wrong);
	char *zero = calloc(100, 1000);
	int set = 0;
	for (int i = 0; i < 100000; i++)
		set += zero[i] != 0;
	printf("calloc left %d bytes set\n", set);
	free(zero);
	volatile size_t huge = SIZE_MAX / 2;
	YES("absurd sizes are refused", malloc(huge) == NULL && errno == ENOMEM);
	YES("overflowing calloc is refused", calloc(huge, 4) == NULL);
	void *aligned = NULL;
	printf("posix_memalign: %s\n", errno_name(posix_memalign(&aligned, 4096, 100)));
	YES("aligned", ((uintptr_t)aligned & 4095) == 0);
	free(aligned);
}

static void mappings(void)
{
	long page = sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, (size_t)page * 64, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	int set = 0;

	YES("mapped", p != MAP_FAILED);
	for (long i = 0; i < page * 64; i++)
		set += p[i] != 0;
	printf("bytes set in a new mapping %d\n", set);
	memset(p, 1, (size_t)page * 64);
	SHOW(munmap(p + page * 8, (size_t)page * 8));
	SHOW(p[page * 7] + p[page * 16]);
	int ends[2];
	SHOW(pipe(ends));
	SHOW(write(ends[1], p + page * 9, 1));
	SHOW(write(ends[1], "four", 4));
	SHOW(mprotect(p, (size_t)page * 4, PROT_READ));
	SHOW(read(ends[0], p, 4));
	SHOW(mprotect(p, (size_t)page * 4, PROT_READ | PROT_WRITE));
	SHOW(read(ends[0], p, 4));
	close(ends[0]);
	close(ends[1]);
	SHOW(mprotect(p + page * 9, (size_t)page, PROT_READ));
	SHOW(madvise(p + page * 20, (size_t)page * 4, MADV_DONTNEED));
	SHOW(p[page * 20] + p[page * 24]);
	char *q = mmap(p + page * 8, (size_t)page * 2, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	YES("fixed mapping is where asked", q == p + page * 8);
	SHOW(q[0]);
	SHOW(munmap(p + 1, (size_t)page));
	SHOW(munmap(p, 0));
	YES("length 0 is refused",
	    mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
		    errno == EINVAL);
	YES("no flags are refused",
	    mmap(NULL, (size_t)page, PROT_READ, MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
		    errno == EINVAL);
	SHOW(munmap(p, (size_t)page * 64));

	p = mmap(NULL, (size_t)page * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0);
	strcpy(p, "kept");
	p = mremap(p, (size_t)page * 2, (size_t)page * 500, MREMAP_MAYMOVE);
	YES("grown", p != MAP_FAILED);
	p[page * 499] = 1;
	printf("%s\n", p);
	p = mremap(p, (size_t)page * 500, (size_t)page, 0);
	printf("%s\n", p);
	SHOW(munmap(p, (size_t)page));
}

static void bad_pointers(void)
{
	int p[2];
	char *hole = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec v = { hole, 10 };
	struct timespec *when = (void *)hole;

	SHOW(pipe(p));
	SHOW(write(p[1], hole, 10));
	SHOW(writev(p[1], &v, 1));
	SHOW(writev(p[1], (void *)hole, 1));
	SHOW(write(p[1], "0123456789", 10));
	SHOW(read(p[0], hole, 10));
	SHOW(nanosleep(when, NULL));
	SHOW(pipe((void *)hole));
	SHOW(open(hole, O_RDONLY));
	close(p[0]);
	close(p[1]);
}

static void randomness(void)
{
	unsigned char a[256], b[256];
	int differ = 0;

	SHOW(getrandom(a, sizeof(a), 0));
	SHOW(getrandom(b, sizeof(b), GRND_NONBLOCK));
	for (int i = 0; i < 256; i++)
		differ += a[i] != b[i];
	YES("two draws differ", differ > 200);
	SHOW(getrandom(a, 1, 0x80));
	int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	YES("/dev/urandom opens", fd >= 0);
	SHOW(read(fd, a, 100));
	close(fd);
	fd = open("/dev/null", O_RDWR);
	SHOW(write(fd, a, 100));
	SHOW(read(fd, a, 100));
	close(fd);
	fd = open("/dev/zero", O_RDONLY);
	SHOW(read(fd, a, 100));
	printf("%d %d\n", a[0], a[99]);
	close(fd);
	SHOW(open("/no/such/file", O_RDONLY));
}

int main(void)
{
	heap_keeps_contents();
	mappings();
	bad_pointers();
	randomness();
	return 0;
}
