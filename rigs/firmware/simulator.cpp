// The TTL box on a pseudo-terminal: the box's own code, the host's clock, no hardware.
//
// Prints `port PATH` first, then `edge T_NS LINE LEVEL` whenever a line changes, and `input T_NS LINE LEVEL` (0 or 1) when
// an input line is made to change, T_NS being CLOCK_MONOTONIC. Its arguments are how many lines and how many input lines
// it has. Orders come on standard input, one a line:
//
//     interlock open|closed    as the switch would
//     input LINE COUNT US      an input line changes COUNT times, at least US microseconds apart
//     restart                  as after a short loss of power: its clock and its counts begin again
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
#include <new>
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
    if (mode == "silent" || mode == "deaf") return;
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

// What happens on the input lines.
class Switches {
public:
  void begin(const char *order) {
    int line = 0, count = 0;
    double period_us = 0;
    if (sscanf(order, "input %d %d %lf", &line, &count, &period_us) != 3 || line < 0 || line >= TTL_MAX_LINES) {
      fprintf(stderr, "simulator: expected input LINE COUNT US, got '%s'\n", order);
      return;
    }
    plans_[line] = {count, (int64_t)(period_us * 1000), now_ns()};
  }

  void turn(TtlBox &box, int count, int64_t epoch_ns) {
    for (int i = 0; i < count && i < TTL_MAX_LINES; i++) {
      Plan &plan = plans_[i];
      const int64_t now = now_ns();
      if (plan.left > 0 && now >= plan.next_ns) {
        plan.left--;
        plan.next_ns = now + plan.period_ns;
        levels_[i] = !levels_[i];
        printf("input %lld %d %d\n", (long long)now, i, levels_[i] ? 1 : 0);
        fflush(stdout);
      }
      box.set_input((uint8_t)i, levels_[i], (uint32_t)((now - epoch_ns) / 1000));
    }
  }

private:
  struct Plan {
    int left;
    int64_t period_ns;
    int64_t next_ns;
  };
  Plan plans_[TTL_MAX_LINES] = {};
  bool levels_[TTL_MAX_LINES] = {};
};

// One box with its power on, until it is restarted.
struct Rig {
  Terminal terminal;
  Switches switches;
  uint8_t lines;
  uint8_t inputs;
  bool closed;
  int64_t epoch_ns;
  TtlBox box;

  Rig(int line_count, int input_count)
      : lines((uint8_t)line_count),
        inputs((uint8_t)input_count),
        closed(true),
        epoch_ns(0),
        box(terminal, lines, inputs) {
    box.set_interlock(closed);
  }

  uint32_t micros() const { return (uint32_t)((now_ns() - epoch_ns) / 1000); }

  void restart() {
    epoch_ns = now_ns();
    for (uint8_t i = 0; i < lines; i++) terminal.set_line(i, 0);
    box.~TtlBox();
    new (&box) TtlBox(terminal, lines, inputs);
    box.set_interlock(closed);
  }

  void obey(const std::string &order) {
    if (order == "interlock open" || order == "interlock closed") {
      closed = order == "interlock closed";
      box.set_interlock(closed);
    } else if (order == "restart") {
      restart();
    } else if (order.compare(0, 6, "input ") == 0) {
      switches.begin(order.c_str());
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
};

int main(int argc, char **argv) {
  signal(SIGINT, SIG_IGN);  // Ctrl-C is meant for the program that is tested
  Rig rig(argc > 1 ? atoi(argv[1]) : 4, argc > 2 ? atoi(argv[2]) : 2);
  Terminal &terminal = rig.terminal;
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
        rig.obey(order);
        order.clear();
      }
    }
    rig.switches.turn(rig.box, rig.inputs, rig.epoch_ns);
    if (terminal.master >= 0) {
      const ssize_t count = read(terminal.master, bytes, sizeof bytes);
      for (ssize_t i = 0; i < count; i++) {
        if (terminal.mode != "deaf") rig.box.receive((uint8_t)bytes[i], rig.micros());
      }
    }
    rig.box.poll(rig.micros());
    terminal.flush();
  }
}
