#include "launcher/cgroup.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CALL_US 5000000 /* for systemd's answer */
#define MOVE_MS 5000	/* for what it does then */

/* The few sd-bus calls, looked up at run time: hosts without systemd need not have the library. */
struct sd_bus;
struct sd_bus_message;

static struct {
	struct sd_bus *bus;
	int (*open_system)(struct sd_bus **);
	int (*unique_name)(struct sd_bus *, const char **);
	struct sd_bus *(*close_unref)(struct sd_bus *);
	int (*new_call)(struct sd_bus *, struct sd_bus_message **, const char *dest,
			const char *path, const char *interface, const char *member);
	int (*append)(struct sd_bus_message *, const char *types, ...);
	int (*open_container)(struct sd_bus_message *, char type, const char *contents);
	int (*close_container)(struct sd_bus_message *);
	int (*call)(struct sd_bus *, struct sd_bus_message *, uint64_t usec, void *error,
		    struct sd_bus_message **reply);
	struct sd_bus_message *(*unref)(struct sd_bus_message *);
} sd;

static bool load(void)
{
	static const char *const names[] = {"sd_bus_open_system",
					    "sd_bus_get_unique_name",
					    "sd_bus_close_unref",
					    "sd_bus_message_new_method_call",
					    "sd_bus_message_append",
					    "sd_bus_message_open_container",
					    "sd_bus_message_close_container",
					    "sd_bus_call",
					    "sd_bus_message_unref"};
	void *lib = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
	void **slots[] = {
		(void **)&sd.open_system,     (void **)&sd.unique_name, (void **)&sd.close_unref,
		(void **)&sd.new_call,	      (void **)&sd.append,	(void **)&sd.open_container,
		(void **)&sd.close_container, (void **)&sd.call,	(void **)&sd.unref};

	for (size_t i = 0; lib && i < ARRAY_LEN(names); i++) {
		*slots[i] = dlsym(lib, names[i]);
		if (!*slots[i])
			return false;
	}
	return lib != NULL;
}

static void hang_up(void)
{
	sd.bus = sd.close_unref(sd.bus);
}

/* Asking for our name makes the library finish the handshake, which it would else put off until the
 * first call: the bus hangs up on those who take more than half a minute. */
static int ring(void)
{
	const char *name;
	int r = sd.bus ? 0 : sd.open_system(&sd.bus);

	if (r >= 0)
		r = sd.unique_name(sd.bus, &name);
	if (r < 0 && sd.bus)
		hang_up();
	return r;
}

bool scope_available(void)
{
	return load() && ring() >= 0;
}

static int properties(struct sd_bus_message *m, const struct launch_spec *s, pid_t pid)
{
	int r = sd.open_container(m, 'a', "(sv)");

	if (r >= 0)
		r = sd.append(m, "(sv)", "Slice", "s", "paasd.slice");
	if (r >= 0)
		r = sd.append(m, "(sv)", "PIDs", "au", 1, (uint32_t)pid);
	if (r >= 0) /* see packaging/systemd/paas-dynos.target */
		r = sd.append(m, "(sv)", "Before", "as", 1, "paas-dynos.target");
	if (r >= 0)
		r = sd.append(m, "(sv)", "CollectMode", "s", "inactive-or-failed");
	if (r >= 0 && s->mem_max)
		r = sd.append(m, "(sv)", "MemoryMax", "t", s->mem_max);
	if (r >= 0 && s->mem_max)
		r = sd.append(m, "(sv)", "MemorySwapMax", "t", (uint64_t)0);
	if (r >= 0 && s->pids_max)
		r = sd.append(m, "(sv)", "TasksMax", "t", s->pids_max);
	if (r >= 0 && s->cpu_weight)
		r = sd.append(m, "(sv)", "CPUWeight", "t", (uint64_t)s->cpu_weight);
	if (r >= 0 && s->cpu_pct)
		r = sd.append(m, "(sv)", "CPUQuotaPerSecUSec", "t", (uint64_t)s->cpu_pct * 10000);
	return r >= 0 ? sd.close_container(m) : r;
}

/* The call's answer names a job; the move itself follows, within milliseconds as a rule. */
static bool moved(pid_t pid, const char *unit)
{
	char path[64], text[1024];

	snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
	for (int ms = 0; ms < MOVE_MS; ms += 2) {
		FILE *f = fopen(path, "re");
		size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;

		if (f)
			fclose(f);
		text[n] = 0;
		if (strstr(text, unit))
			return true;
		usleep(2000);
	}
	return false;
}

static int ask(const char *unit, const struct launch_spec *s, pid_t pid)
{
	struct sd_bus_message *m = NULL;
	int r = ring();

	if (r >= 0)
		r = sd.new_call(sd.bus, &m, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
				"org.freedesktop.systemd1.Manager", "StartTransientUnit");
	if (r >= 0)
		r = sd.append(m, "ss", unit, "fail");
	if (r >= 0)
		r = properties(m, s, pid);
	if (r >= 0)
		r = sd.append(m, "a(sa(sv))", 0);
	if (r >= 0)
		r = sd.call(sd.bus, m, CALL_US, NULL, NULL);
	if (m)
		sd.unref(m);
	return r;
}

/* The bus was restarted since the last call, and nobody told us: we do not listen meanwhile. */
static bool hung_up(int r)
{
	return r == -ENOTCONN || r == -ECONNRESET || r == -EPIPE || r == -ESHUTDOWN;
}

int scope_start(const char *unit, const struct launch_spec *s, pid_t pid, struct err *err)
{
	int r = ask(unit, s, pid);

	if (hung_up(r)) {
		hang_up();
		r = ask(unit, s, pid);
	}
	if (r < 0)
		return err_set(err, ERR_UNAVAILABLE, "systemd made no scope for the dyno: %s",
			       strerror(-r));
	return moved(pid, unit)
		       ? 0
		       : err_set(err, ERR_TIMEOUT, "systemd did not move the dyno into %s", unit);
}
