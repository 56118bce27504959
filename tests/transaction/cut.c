/*
 * Preloaded into the shell under test and every tool that it runs: counts each system call that changes the disk
 * (below CUT_ROOT) or the simulated kernel (below CUT_KERNEL), across all processes, and makes the chosen one fatal.
 *
 * What to do lies in the file CUT_PLAN, mapped by all: where the count stands, at which count to act, and how.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct plan {
	int count;	/* calls so far */
	int at;		/* act at this one; 0 never */
	int action;	/* 1 kill the program, 2 kill its whole session, 3 fail from here on, 4 fail once, 5 hang up */
	int error;	/* errno of 3 and 4 */
	int program;	/* process that is the program; 0 once it has ended */
	int keeper;	/* the test itself, never to be killed */
	int after;	/* act after the call instead of before it */
	int acted;
};

static struct plan *plan;
static const char *root, *kernel;

__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("CUT_PLAN");
	int fd;

	root = getenv("CUT_ROOT");
	kernel = getenv("CUT_KERNEL");
	if (path == NULL || root == NULL || kernel == NULL)
		return;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (plan == MAP_FAILED)
		plan = NULL;
	close(fd);
}

static int
below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return strncmp(path, top, n) == 0 && path[n] == '/';
}

/* 1 for the disk, 2 for the kernel, 0 for what is neither */
static int
where(int dirfd, const char *path)
{
	char link[64], full[4096];
	ssize_t n;

	if (plan == NULL)
		return 0;
	if (path != NULL && path[0] == '/')
		return below(path, root) ? 1 : below(path, kernel) ? 2 : 0;
	if (dirfd == AT_FDCWD)
		return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
	n = readlink(link, full, sizeof full - 2);
	if (n <= 0)
		return 0;
	full[n] = '/';
	full[n + 1] = '\0';
	return below(full, root) ? 1 : below(full, kernel) ? 2 : 0;
}

static void
act(void)
{
	int program = plan->program, parent = getppid();

	plan->acted = 1;
	if (plan->action == 1) {
		if (program != 0)
			kill(program, SIGKILL);
		if (parent != plan->keeper && parent != 1)
			kill(parent, SIGKILL);
		kill(getpid(), SIGKILL);
	} else if (plan->action == 2) {
		kill(0, SIGKILL);
	} else if (plan->action == 5) {
		kill(0, SIGHUP);
	}
}

/* returns 1 when the call has to fail */
static int
before(int what, int *number)
{
	*number = 0;
	if (what == 0)
		return 0;
	*number = __atomic_add_fetch(&plan->count, 1, __ATOMIC_SEQ_CST);
	if (plan->at == 0)
		return 0;
	if (what == 1 && ((plan->action == 3 && *number >= plan->at) || (plan->action == 4 && *number == plan->at))) {
		plan->acted = 1;
		errno = plan->error;
		return 1;
	}
	if (*number == plan->at && !plan->after)
		act();
	return 0;
}

static void
after(int number)
{
	int kept = errno;

	if (number != 0 && number == plan->at && plan->after)
		act();
	errno = kept;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRAP(type, name, arguments, place, call)		\
type name arguments						\
{								\
	type result;						\
	int number;						\
	if (before(place, &number))				\
		return -1;					\
	result = REAL(name) call;				\
	after(number);						\
	return result;						\
}

WRAP(int, mkdir, (const char *path, mode_t mode), where(AT_FDCWD, path), (path, mode))
WRAP(int, mkdirat, (int fd, const char *path, mode_t mode), where(fd, path), (fd, path, mode))
WRAP(int, rmdir, (const char *path), where(AT_FDCWD, path), (path))
WRAP(int, unlink, (const char *path), where(AT_FDCWD, path), (path))
/* A full disk does not keep files from going away. */
WRAP(int, unlinkat, (int fd, const char *path, int flags),
    where(fd, path) == 1 && plan->error == ENOSPC ? 2 : where(fd, path), (fd, path, flags))
WRAP(int, rename, (const char *from, const char *to),
    where(AT_FDCWD, to) == 1 && plan->error == ENOSPC ? 2 : where(AT_FDCWD, to), (from, to))
WRAP(int, renameat, (int a, const char *from, int b, const char *to),
    where(b, to) == 1 && plan->error == ENOSPC ? 2 : where(b, to), (a, from, b, to))
WRAP(int, renameat2, (int a, const char *from, int b, const char *to, unsigned int flags),
    where(b, to) == 1 && plan->error == ENOSPC ? 2 : where(b, to), (a, from, b, to, flags))
WRAP(int, link, (const char *from, const char *to), where(AT_FDCWD, to), (from, to))
WRAP(int, linkat, (int a, const char *from, int b, const char *to, int flags), where(b, to), (a, from, b, to, flags))
WRAP(int, symlink, (const char *from, const char *to), where(AT_FDCWD, to), (from, to))
WRAP(int, symlinkat, (const char *from, int fd, const char *to), where(fd, to), (from, fd, to))
WRAP(int, chmod, (const char *path, mode_t mode), where(AT_FDCWD, path), (path, mode))
WRAP(int, fchmod, (int fd, mode_t mode), where(fd, NULL), (fd, mode))
WRAP(int, fchmodat, (int fd, const char *path, mode_t mode, int flags), where(fd, path), (fd, path, mode, flags))
WRAP(ssize_t, write, (int fd, const void *data, size_t size), where(fd, NULL), (fd, data, size))
WRAP(ssize_t, copy_file_range, (int a, off64_t *from, int b, off64_t *to, size_t size, unsigned int flags),
    where(b, NULL), (a, from, b, to, size, flags))

static int
open_wrapped(const char *name, int fd, const char *path, int flags, mode_t mode)
{
	int number, result, what = 0;

	if ((flags & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR)) != 0)
		what = where(fd, path);
	if (before(what, &number))
		return -1;
	if (strncmp(name, "openat", 6) == 0)
		result = ((int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, name))(fd, path, flags, mode);
	else
		result = ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name))(path, flags, mode);
	after(number);
	return result;
}

#define OPEN(name, parameters, fd)				\
int name parameters						\
{								\
	mode_t mode = 0;					\
	if ((flags & O_CREAT) != 0) {				\
		va_list rest;					\
		va_start(rest, flags);				\
		mode = va_arg(rest, mode_t);			\
		va_end(rest);					\
	}							\
	return open_wrapped(#name, fd, path, flags, mode);	\
}

OPEN(open, (const char *path, int flags, ...), AT_FDCWD)
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD)
OPEN(openat, (int dirfd, const char *path, int flags, ...), dirfd)
OPEN(openat64, (int dirfd, const char *path, int flags, ...), dirfd)
