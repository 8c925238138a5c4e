/* The smallest complete image: one line on the console, and the end. */
#include <stdio.h>

static void say(const char *word)
{
	fputs(word, stdout);
}

int main(int argc, char **argv)
{
	say("Hello from ");
	say(argv[0]);
	for (int i = 1; i < argc; i++) {
		say(" ");
		say(argv[i]);
	}
	say("\n");
	return 0;
}
