/*
 * The program behind every simulated command of a real host: what bsdcarp/lab/client.py does in sh, compiled, so that
 * ifconfig(8) and its like cost what a small C program costs, as they do on FreeBSD, and not what a shell costs.
 *
 * It is the interpreter of the file that all commands are links to: "#!/.lab/client DIRECTORY", so that it is started
 * as: client DIRECTORY COMMAND [ARGUMENT ...].  Its request begins with an empty field; the answer to such a one is
 * "STATUS LENGTH LENGTH\n", then both outputs, or else a line for the shell.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOTS 64	/* as in bsdcarp/lab/client.py */
#define ANSWER 9	/* open until the end, which is how the lab knows that the slot is free again */

static char path[4200], answer[65536];

static const char *
in(const char *directory, const char *name, int slot)
{
	if (slot < 0)
		snprintf(path, sizeof(path), "%s/%s", directory, name);
	else
		snprintf(path, sizeof(path), "%s/%s%d", directory, name, slot);
	return path;
}

/* Hands over to the program of this machine, in /usr/bin. */
static void
real(const char *name, char **argv)
{
	snprintf(path, sizeof(path), "/usr/bin/%s", name);
	execv(path, argv);
	_exit(127);
}

static void
put(int to, const char *data, size_t length)
{
	while (length > 0) {
		ssize_t done = write(to, data, length);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			break;
		data += done;
		length -= done;
	}
}

/* One field of the request, with the NUL that ends it. */
static char *
add(char *end, const char *field, const char *limit)
{
	size_t length = strlen(field) + 1;
	if (end + length > limit)
		_exit(126);
	return (char *)memcpy(end, field, length) + length;
}

static int
claim(const char *directory)
{
	int slot = getpid() % SLOTS;
	for (int tries = 0;; tries++, slot = (slot + 1) % SLOTS) {
		int to = open(in(directory, "q.", slot), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (to >= 0) {
			close(to);
			return slot;
		}
		if (tries > 2 * SLOTS) {
			if (access(in(directory, "request", -1), F_OK) != 0)
				_exit(255);
			usleep(10000);
		}
	}
}

int
main(int argc, char **argv)
{
	static char request[131072];
	char cwd[4096], *end = request + 1;
	const char *limit = request + sizeof(request), *directory, *name, *user;
	int slot, to, status, out, err;
	size_t had = 0;

	if (argc < 3)
		return 126;
	directory = getenv("BSDCARP_LAB_DIR") != NULL ? getenv("BSDCARP_LAB_DIR") : argv[1];
	name = strrchr(argv[2], '/') != NULL ? strrchr(argv[2], '/') + 1 : argv[2];
	user = getenv("BSDCARP_USER") != NULL ? getenv("BSDCARP_USER") : "root";
	argv += 2;
	argc -= 2;
	if (strcmp(name, "sed") == 0) {
		if (argc > 2 && strcmp(argv[1], "-i") == 0 && argv[2][0] == '\0') {
			argv[2] = argv[1];	/* FreeBSD's -i has a suffix of its own, GNU's has not */
			argv++;
		}
		real(name, argv);
	}
	if (strcmp(name, "ls") == 0 && (argc < 2 || argv[1][0] != '-' || strchr(argv[1], 'l') == NULL))
		real(name, argv);
	if (access(in(directory, "request", -1), F_OK) != 0)
		return 255;
	end = add(end, name, limit);
	end = add(end, getcwd(cwd, sizeof(cwd)) != NULL ? cwd : "/", limit);
	end = add(end, user, limit);
	for (int i = 1; i < argc; i++)
		end = add(end, argv[i], limit);

	slot = claim(directory);
	to = open(in(directory, "q.", slot), O_WRONLY);
	put(to, request, end - request);
	close(to);
	to = open(in(directory, "r.", slot), O_RDWR);
	dup2(to, ANSWER);
	if (to != ANSWER)
		close(to);
	to = open(in(directory, "request", -1), O_RDWR);
	snprintf(cwd, sizeof(cwd), "%d\n", slot);
	put(to, cwd, strlen(cwd));
	close(to);

	while (had < sizeof(answer) - 1) {
		char *line = memchr(answer, '\n', had);
		if (line != NULL && sscanf(answer, "%d %d %d\n", &status, &out, &err) == 3) {
			if (had >= (size_t)(line + 1 - answer) + out + err) {
				put(1, line + 1, out);
				put(2, line + 1 + out, err);
				return status;
			}
		} else if (line != NULL) {
			*line = '\0';
			setenv("d", directory, 1);
			execl("/bin/sh", name, "-c", answer, (char *)NULL);
			return 127;
		}
		ssize_t more = read(ANSWER, answer + had, sizeof(answer) - 1 - had);
		if (more <= 0 && errno != EINTR)
			return 255;
		had += more > 0 ? more : 0;
	}
	return 255;
}
