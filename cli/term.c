#include "cli/term.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>

static struct termios before;
static volatile sig_atomic_t changed_fd = -1;

static const int fatal[] = {SIGINT,  SIGTERM, SIGHUP, SIGQUIT, SIGPIPE,
			    SIGABRT, SIGSEGV, SIGBUS, SIGFPE,  SIGILL};

static void on_fatal(int sig)
{
	int fd = changed_fd;

	if (fd >= 0)
		tcsetattr(fd, TCSANOW, &before);
	raise(sig); /* SA_RESETHAND: the default action now */
}

static void on_exit_restore(void)
{
	cli_term_restore();
}

static void watch_signals(void)
{
	static bool done;
	struct sigaction act = {.sa_handler = on_fatal, .sa_flags = (int)SA_RESETHAND}, old;

	if (done)
		return;
	done = true;
	atexit(on_exit_restore);
	for (size_t i = 0; i < ARRAY_LEN(fatal); i++)
		if (sigaction(fatal[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			sigaction(fatal[i], &act, NULL);
}

static bool change(int fd, void (*edit)(struct termios *))
{
	struct termios t;

	if (changed_fd >= 0 || tcgetattr(fd, &before) < 0)
		return false;
	watch_signals();
	t = before;
	edit(&t);
	changed_fd = fd;
	if (tcsetattr(fd, TCSADRAIN, &t) == 0)
		return true;
	changed_fd = -1;
	return false;
}

static void no_echo(struct termios *t)
{
	t->c_lflag &= ~(tcflag_t)ECHO;
	t->c_lflag |= ICANON | ISIG;
}

bool cli_term_raw(int fd)
{
	return change(fd, cfmakeraw);
}

bool cli_term_hide(int fd)
{
	return change(fd, no_echo);
}

bool cli_term_restore(void)
{
	int fd = changed_fd;

	if (fd < 0)
		return false;
	changed_fd = -1;
	tcsetattr(fd, TCSADRAIN, &before);
	return true;
}

bool cli_term_size(int fd, unsigned *rows, unsigned *cols)
{
	struct winsize w;

	if (ioctl(fd, TIOCGWINSZ, &w) < 0 || !w.ws_row || !w.ws_col)
		return false;
	*rows = w.ws_row;
	*cols = w.ws_col;
	return true;
}
