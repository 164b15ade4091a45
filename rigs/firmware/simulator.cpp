// The TTL box on a pseudo-terminal: the box's own code, the host's clock, no hardware.
//
// Prints `port PATH` first, then `edge T_NS LINE LEVEL` whenever a line changes, T_NS being CLOCK_MONOTONIC. Orders come
// on standard input, one a line:
//
//     interlock open|closed    as the switch would
//     silent                   lives, takes commands, says nothing
//     deaf                     neither hears nor answers (its watchdog goes on)
//     garbage                  noise in place of answers
//     late MS                  answers so much later
//     well                     as at first
//     pull                     the cable is pulled: the port is gone; the box lives on, on its own power
//
// It ends when standard input ends.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <deque>
#include <string>
#include <utility>

#include "ttl_box.h"

static int64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

class Terminal : public TtlBox::Board {
public:
  int master = -1;
  std::string mode = "well";
  int64_t late_ns = 0;

  void set_line(uint8_t line, uint16_t level) override {
    printf("edge %lld %u %u\n", (long long)now_ns(), line, level);
    fflush(stdout);
  }

  void send(const uint8_t *bytes, size_t count) override {
    std::string text((const char *)bytes, count);
    if (mode == "silent") return;
    if (mode == "garbage") {
      for (char &c : text) c = (char)(rand() & 0xff);
    }
    waiting_.push_back({now_ns() + late_ns, text});
  }

  void flush() {
    while (!waiting_.empty() && waiting_.front().first <= now_ns()) {
      const std::string &text = waiting_.front().second;
      if (master >= 0 && write(master, text.data(), text.size()) < 0 && errno != EAGAIN) return;
      waiting_.pop_front();
    }
  }

private:
  std::deque<std::pair<int64_t, std::string>> waiting_;
};

static void obey(const std::string &order, Terminal &terminal, TtlBox &box, bool &closed) {
  if (order == "interlock open" || order == "interlock closed") {
    closed = order == "interlock closed";
    box.set_interlock(closed);
  } else if (order.compare(0, 5, "late ") == 0) {
    terminal.mode = "well";
    terminal.late_ns = (int64_t)(atof(order.c_str() + 5) * 1e6);
  } else if (order == "pull") {
    close(terminal.master);
    terminal.master = -1;
  } else if (order == "silent" || order == "deaf" || order == "garbage" || order == "well") {
    terminal.mode = order;
    terminal.late_ns = 0;
  } else {
    fprintf(stderr, "simulator: unknown order '%s'\n", order.c_str());
  }
}

int main(int argc, char **argv) {
  const int lines = argc > 1 ? atoi(argv[1]) : 4;
  signal(SIGINT, SIG_IGN);  // Ctrl-C is meant for the program that is tested
  Terminal terminal;
  terminal.master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
  if (terminal.master < 0 || grantpt(terminal.master) || unlockpt(terminal.master)) {
    perror("simulator: no pseudo-terminal");
    return 1;
  }
  const char *path = ptsname(terminal.master);
  // Held open here too: a box stays where it is when a program lets go of its port.
  const int slave = open(path, O_RDWR | O_NOCTTY);
  termios raw;
  tcgetattr(slave, &raw);
  cfmakeraw(&raw);
  tcsetattr(slave, TCSANOW, &raw);
  printf("port %s\n", path);
  fflush(stdout);

  TtlBox box(terminal, (uint8_t)lines);
  bool closed = true;
  box.set_interlock(closed);
  std::string order;
  for (;;) {
    pollfd watched[2] = {{0, POLLIN, 0}, {terminal.master, POLLIN, 0}};
    const timespec nap = {0, 100000};
    ppoll(watched, 2, &nap, nullptr);
    char bytes[256];
    if (watched[0].revents) {
      const ssize_t count = read(0, bytes, sizeof bytes);
      if (count <= 0) return 0;
      for (ssize_t i = 0; i < count; i++) {
        if (bytes[i] != '\n') {
          order += bytes[i];
          continue;
        }
        obey(order, terminal, box, closed);
        order.clear();
      }
    }
    if (terminal.master >= 0) {
      const ssize_t count = read(terminal.master, bytes, sizeof bytes);
      for (ssize_t i = 0; i < count; i++) {
        if (terminal.mode != "deaf") box.receive((uint8_t)bytes[i], (uint32_t)(now_ns() / 1000));
      }
    }
    box.poll((uint32_t)(now_ns() / 1000));
    terminal.flush();
  }
}
