/* Makes file operations of a process fail. Preloaded into a stage by the reliability tests (LD_PRELOAD), and told by the
 * environment what to do:
 *
 *   FAULT_PATH   counts only operations on paths that contain this text
 *   FAULT_OPS    and only these: o(pen) w(rite) s(ync) r(ename) u(nlink) m(ake or remove a folder) t(runcate) R(ead)
 *   FAULT_AT     the operation, from 1, that fails; none fails without it
 *   FAULT_ERRNO  with this error; a process dies by SIGKILL instead where FAULT_KILL is set
 *   FAULT_FROM   set: every operation from that one on fails, as on a disk that is full
 *   FAULT_LOG    a file that gets a line for each operation counted: its letter and path
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long count, at = -1;
static int error_number = EIO, from, kills, log_file = -1;
static const char *counted = "owsrumtR", *where = "";
static ssize_t (*real_write)(int, const void *, size_t);

static void read_environment(void) {
  const char *value;
  real_write = dlsym(RTLD_NEXT, "write");
  if ((value = getenv("FAULT_AT"))) at = atol(value);
  if ((value = getenv("FAULT_ERRNO"))) error_number = atoi(value);
  if ((value = getenv("FAULT_OPS"))) counted = value;
  if ((value = getenv("FAULT_PATH"))) where = value;
  from = getenv("FAULT_FROM") != NULL;
  kills = getenv("FAULT_KILL") != NULL;
  if ((value = getenv("FAULT_LOG"))) {
    int (*open_file)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
    log_file = open_file(value, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  }
}

/* Counts an operation; 1 if it is to fail, with errno set. */
static int fails(char operation, const char *path) {
  int before = errno;
  pthread_once(&once, read_environment);
  errno = before;
  if (!path || !strchr(counted, operation) || !strstr(path, where)) return 0;
  pthread_mutex_lock(&lock);
  long number = ++count;
  if (log_file >= 0) {
    char line[5000];
    int length = snprintf(line, sizeof line, "%c %s\n", operation, path);
    if (length > 0) (void)!real_write(log_file, line, length < (int)sizeof line ? length : (int)sizeof line - 1);
  }
  pthread_mutex_unlock(&lock);
  if (at < 1 || !(number == at || (from && number > at))) {
    errno = before;
    return 0;
  }
  if (kills)
    for (kill(getpid(), SIGKILL);;) pause();
  errno = error_number;
  return 1;
}

static int fails_at(char operation, int file) {
  char link[64], path[4200];
  int before = errno;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  errno = before;
  if (length < 0 || file == log_file) return 0;
  path[length] = 0;
  return fails(operation, path);
}

/* The path of a file below an open folder. */
static const char *below(int folder, const char *path, char *whole, size_t size) {
  char link[64], start[4200];
  if (folder == AT_FDCWD || path[0] == '/') return path;
  snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
  ssize_t length = readlink(link, start, sizeof start - 1);
  if (length < 0) return path;
  start[length] = 0;
  snprintf(whole, size, "%s/%s", start, path);
  return whole;
}

#define REAL(name, type, ...)            \
  static type (*real)(__VA_ARGS__);      \
  if (!real) real = dlsym(RTLD_NEXT, #name)

#define MODE(flags)                      \
  mode_t mode = 0;                       \
  if ((flags) & (O_CREAT | O_TMPFILE)) { \
    va_list rest;                        \
    va_start(rest, flags);               \
    mode = va_arg(rest, mode_t);         \
    va_end(rest);                        \
  }

#define OPEN(name)                                      \
  int name(const char *path, int flags, ...) {          \
    MODE(flags)                                         \
    REAL(name, int, const char *, int, ...);            \
    return fails('o', path) ? -1 : real(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                 \
  int name(int folder, const char *path, int flags, ...) {           \
    MODE(flags)                                                      \
    REAL(name, int, int, const char *, int, ...);                    \
    char whole[8500];                                                \
    const char *full = below(folder, path, whole, sizeof whole);     \
    return fails('o', full) ? -1 : real(folder, path, flags, mode);  \
  }
OPENAT(openat)
OPENAT(openat64)

#define ON_FILE(operation, name, type, parameters, types, arguments) \
  type name parameters {                                             \
    REAL(name, type, types);                                         \
    return fails_at(operation, file) ? -1 : real arguments;          \
  }
#define TYPES(...) __VA_ARGS__
ON_FILE('w', write, ssize_t, (int file, const void *data, size_t size), TYPES(int, const void *, size_t), (file, data, size))
ON_FILE('w', writev, ssize_t, (int file, const struct iovec *data, int n), TYPES(int, const struct iovec *, int), (file, data, n))
ON_FILE('w', pwrite64, ssize_t, (int file, const void *data, size_t size, off64_t to), TYPES(int, const void *, size_t, off64_t), (file, data, size, to))
ON_FILE('R', read, ssize_t, (int file, void *data, size_t size), TYPES(int, void *, size_t), (file, data, size))
ON_FILE('R', pread64, ssize_t, (int file, void *data, size_t size, off64_t to), TYPES(int, void *, size_t, off64_t), (file, data, size, to))
ON_FILE('s', fsync, int, (int file), TYPES(int), (file))
ON_FILE('s', fdatasync, int, (int file), TYPES(int), (file))
ON_FILE('t', ftruncate64, int, (int file, off64_t size), TYPES(int, off64_t), (file, size))

int rename(const char *old, const char *new) {
  REAL(rename, int, const char *, const char *);
  return fails('r', new) ? -1 : real(old, new);
}

int unlink(const char *path) {
  REAL(unlink, int, const char *);
  return fails('u', path) ? -1 : real(path);
}

int unlinkat(int folder, const char *path, int flags) {
  REAL(unlinkat, int, int, const char *, int);
  char whole[8500];
  return fails('u', below(folder, path, whole, sizeof whole)) ? -1 : real(folder, path, flags);
}

int mkdir(const char *path, mode_t mode) {
  REAL(mkdir, int, const char *, mode_t);
  return fails('m', path) ? -1 : real(path, mode);
}

int rmdir(const char *path) {
  REAL(rmdir, int, const char *);
  return fails('m', path) ? -1 : real(path);
}
