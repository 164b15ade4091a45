// The TTL box without its hardware: bytes and microseconds in, line levels and bytes out.
//
// Plain C++11 without heap or library, so that the same file runs on an Arduino, on a Teensy and, in the tests, on
// the host. One instance is one box. Call `receive` for every byte that comes in, and `poll` as often as you can: the
// lines change only in there. Times are those of micros(): they wrap around, so only differences are used.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "protocol.h"

class TtlBox {
public:
  // What the box needs of its hardware.
  class Board {
  public:
    virtual ~Board() {}
    // level: 0 low, 65535 high, in between a PWM value.
    virtual void set_line(uint8_t line, uint16_t level) = 0;
    virtual void send(const uint8_t *bytes, size_t count) = 0;
  };

  TtlBox(Board &board, uint8_t lines, uint8_t inputs = 0);

  void receive(uint8_t byte, uint32_t now_us);
  void set_interlock(bool closed);
  // The level of an input line, as often as it can be read.
  void set_input(uint8_t line, bool high, uint32_t now_us);
  void poll(uint32_t now_us);

private:
  enum Doing { IDLE, PULSES, LEVEL, ANALOG };

  struct Line {
    Doing doing;
    uint16_t level;      // as the board has it
    uint16_t amplitude;  // where it goes
    uint16_t from;       // where a ramp began
    uint32_t since_us;   // beginning of the present pulse, level or ramp
    uint32_t duration_us;
    uint32_t period_us;
    uint16_t pulses_left;
    uint32_t ramp_up_us;
    uint32_t ramp_down_us;
  };

  struct InputLine {
    bool level;
    bool reported;  // the host asked for its edges
    bool waiting;   // its newest edge has not been sent yet
    uint16_t count;
    uint32_t edge_us;
    uint32_t debounce_us;
  };

  void take(const uint8_t *message, size_t size, uint32_t now_us);
  uint8_t begin(uint8_t number, Doing doing, uint16_t amplitude, uint32_t now_us);
  void advance(Line &line, uint32_t now_us);
  uint16_t analog_level(Line &line, uint32_t elapsed_us);
  void drop_all(bool count_as_cut);
  void write(uint8_t number, uint16_t level);
  void acknowledge(uint16_t seq, uint8_t result, uint32_t now_us);
  void report(uint16_t seq, uint32_t now_us);
  void begin_input(const TtlInput &m, uint16_t seq, uint32_t now_us);
  void send_edge(uint8_t number);
  void send_edges(uint32_t now_us);
  void forget_inputs();
  void send_framed(uint8_t *message, size_t size);

  Board &board_;
  uint8_t line_count_;
  Line lines_[TTL_MAX_LINES];
  uint8_t input_count_;
  InputLine inputs_[TTL_MAX_LINES];
  uint8_t next_input_;     // whose turn it is to send an edge
  uint32_t edge_sent_us_;
  bool interlock_closed_;
  bool tripped_;
  uint8_t dropped_;
  uint16_t trips_;
  uint16_t bad_frames_;
  uint32_t watchdog_us_;
  uint32_t heard_us_;
  uint8_t buffer_[TTL_MAX_ENCODED];
  size_t filled_;
  bool overrun_;
};
