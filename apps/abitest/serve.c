/*
 * serve: a server of files by sendfile(), a thread for each connection, for tests that talk to it
 * from outside.
 *
 * A connection is one line: "get PATH" answers with the file's bytes, "cut PATH BYTES" truncates it
 * and answers "done".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT 8080

int abitest_serve(void);

static void get(int to, const char *path)
{
	int from = open(path, O_RDONLY);

	while (from >= 0 && sendfile(to, from, NULL, 1 << 20) > 0)
		;
	if (from >= 0)
		close(from);
}

static void cut(int to, const char *path, long bytes)
{
	const char *answer = truncate(path, bytes) ? strerror(errno) : "done";

	if (write(to, answer, strlen(answer)) < 0)
		perror("write");
}

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char line[256] = "", path[200];
	size_t len = 0;
	ssize_t n;
	long bytes;

	while (len < sizeof(line) - 1 && !strchr(line, '\n') &&
	       (n = read(fd, line + len, sizeof(line) - 1 - len)) > 0)
		line[len += (size_t)n] = '\0';
	if (sscanf(line, "get %199s", path) == 1)
		get(fd, path);
	else if (sscanf(line, "cut %199s %ld", path, &bytes) == 2)
		cut(fd, path, bytes);
	close(fd);
	return NULL;
}

int abitest_serve(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd;
	pthread_t thread;

	signal(SIGPIPE, SIG_IGN);
	if (bind(listener, (struct sockaddr *)&any, sizeof(any)) || listen(listener, 16))
		return 1;
	printf("serving\n");
	fflush(stdout);
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd))
			close(fd);
		else
			pthread_detach(thread);
	}
	return 0;
}
