// Generated from protocol.py by `python -m rigs.firmware.generate`. Do not edit.

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TTL_NAME "rt-pose-ttl"
#define TTL_VERSION 1
#define TTL_MAX_LINES 8
#define TTL_HEADER_SIZE 3
#define TTL_MAX_MESSAGE 23  // with its crc
#define TTL_MAX_ENCODED 24  // in COBS, without the 0 at its end

#define TTL_FLAG_WATCHDOG 1
#define TTL_FLAG_INTERLOCK 2
#define TTL_FLAG_NO_WATCHDOG 4
#define TTL_OK 0
#define TTL_INTERLOCK_OPEN 1
#define TTL_NO_SUCH_LINE 2
#define TTL_BAD_VALUE 3
#define TTL_NO_WATCHDOG 4

#define TTL_HELLO 0x01
#define TTL_HEARTBEAT 0x02
#define TTL_SAFE 0x03
#define TTL_PULSE 0x10
#define TTL_TRAIN 0x11
#define TTL_LEVEL 0x12
#define TTL_ANALOG 0x13
#define TTL_STOP 0x14
#define TTL_INPUT 0x20
#define TTL_WELCOME 0x81
#define TTL_ACK 0x82
#define TTL_STATUS 0x83
#define TTL_INPUTSTATE 0x84
#define TTL_INPUTEDGE 0x85

static inline uint16_t ttl_u16(const uint8_t *b) { return (uint16_t)(b[0] | (b[1] << 8)); }
static inline uint32_t ttl_u32(const uint8_t *b) {
  return (uint32_t)ttl_u16(b) | ((uint32_t)ttl_u16(b + 2) << 16);
}
static inline void ttl_put_u16(uint8_t *b, uint16_t v) {
  b[0] = (uint8_t)v;
  b[1] = (uint8_t)(v >> 8);
}
static inline void ttl_put_u32(uint8_t *b, uint32_t v) {
  ttl_put_u16(b, (uint16_t)v);
  ttl_put_u16(b + 2, (uint16_t)(v >> 16));
}

// Who are you? Sets the watchdog and makes all lines low; without a watchdog nothing can be begun.
struct TtlHello {
  uint16_t seq;
  uint8_t version;
  uint16_t watchdog_ms;
};
static inline bool ttl_read_hello(const uint8_t *b, size_t size, TtlHello *m) {
  if (size != 6) return false;
  m->seq = ttl_u16(b + 1);
  m->version = b[3];
  m->watchdog_ms = ttl_u16(b + 4);
  return true;
}

// All is well with the host; answered by status.
struct TtlHeartbeat {
  uint16_t seq;
};
static inline bool ttl_read_heartbeat(const uint8_t *b, size_t size, TtlHeartbeat *m) {
  if (size != 3) return false;
  m->seq = ttl_u16(b + 1);
  return true;
}

// All lines low, at once.
struct TtlSafe {
  uint16_t seq;
};
static inline bool ttl_read_safe(const uint8_t *b, size_t size, TtlSafe *m) {
  if (size != 3) return false;
  m->seq = ttl_u16(b + 1);
  return true;
}

// On for duration_us.
struct TtlPulse {
  uint16_t seq;
  uint8_t line;
  uint16_t amplitude;
  uint32_t duration_us;
};
static inline bool ttl_read_pulse(const uint8_t *b, size_t size, TtlPulse *m) {
  if (size != 10) return false;
  m->seq = ttl_u16(b + 1);
  m->line = b[3];
  m->amplitude = ttl_u16(b + 4);
  m->duration_us = ttl_u32(b + 6);
  return true;
}

// count pulses of duration_us, one each period_us.
struct TtlTrain {
  uint16_t seq;
  uint8_t line;
  uint16_t amplitude;
  uint32_t duration_us;
  uint32_t period_us;
  uint16_t count;
};
static inline bool ttl_read_train(const uint8_t *b, size_t size, TtlTrain *m) {
  if (size != 16) return false;
  m->seq = ttl_u16(b + 1);
  m->line = b[3];
  m->amplitude = ttl_u16(b + 4);
  m->duration_us = ttl_u32(b + 6);
  m->period_us = ttl_u32(b + 10);
  m->count = ttl_u16(b + 14);
  return true;
}

// On until told otherwise, or for at_most_us where that is not 0; amplitude 0 is off.
struct TtlLevel {
  uint16_t seq;
  uint8_t line;
  uint16_t amplitude;
  uint32_t at_most_us;
};
static inline bool ttl_read_level(const uint8_t *b, size_t size, TtlLevel *m) {
  if (size != 10) return false;
  m->seq = ttl_u16(b + 1);
  m->line = b[3];
  m->amplitude = ttl_u16(b + 4);
  m->at_most_us = ttl_u32(b + 6);
  return true;
}

// From the present value to amplitude, stay, and down to 0.
struct TtlAnalog {
  uint16_t seq;
  uint8_t line;
  uint16_t amplitude;
  uint32_t ramp_up_us;
  uint32_t duration_us;
  uint32_t ramp_down_us;
};
static inline bool ttl_read_analog(const uint8_t *b, size_t size, TtlAnalog *m) {
  if (size != 18) return false;
  m->seq = ttl_u16(b + 1);
  m->line = b[3];
  m->amplitude = ttl_u16(b + 4);
  m->ramp_up_us = ttl_u32(b + 6);
  m->duration_us = ttl_u32(b + 10);
  m->ramp_down_us = ttl_u32(b + 14);
  return true;
}

// End what a line is doing.
struct TtlStop {
  uint16_t seq;
  uint8_t line;
};
static inline bool ttl_read_stop(const uint8_t *b, size_t size, TtlStop *m) {
  if (size != 4) return false;
  m->seq = ttl_u16(b + 1);
  m->line = b[3];
  return true;
}

// Report the edges of an input line from now on, debounced; answered by input_state.
struct TtlInput {
  uint16_t seq;
  uint8_t line;
  uint32_t debounce_us;
};
static inline bool ttl_read_input(const uint8_t *b, size_t size, TtlInput *m) {
  if (size != 8) return false;
  m->seq = ttl_u16(b + 1);
  m->line = b[3];
  m->debounce_us = ttl_u32(b + 4);
  return true;
}

// Answers hello; also where the versions differ.
struct TtlWelcome {
  uint16_t seq;
  uint8_t version;
  uint8_t lines;
  uint32_t t_us;
  char name[13];
};
static inline size_t ttl_write_welcome(const TtlWelcome *m, uint8_t *b) {
  b[0] = 0x81;
  ttl_put_u16(b + 1, m->seq);
  b[3] = m->version;
  b[4] = m->lines;
  ttl_put_u32(b + 5, m->t_us);
  memcpy(b + 9, m->name, 12);
  return 21;
}

// Answers safe and every command, with the box's time at which it took effect.
struct TtlAck {
  uint16_t seq;
  uint8_t result;
  uint32_t t_us;
};
static inline size_t ttl_write_ack(const TtlAck *m, uint8_t *b) {
  b[0] = 0x82;
  ttl_put_u16(b + 1, m->seq);
  b[3] = m->result;
  ttl_put_u32(b + 4, m->t_us);
  return 8;
}

// Answers heartbeat. dropped: lines cut short since the last status, a bit each.
struct TtlStatus {
  uint16_t seq;
  uint32_t t_us;
  uint8_t flags;
  uint8_t dropped;
  uint16_t trips;
  uint16_t bad_frames;
};
static inline size_t ttl_write_status(const TtlStatus *m, uint8_t *b) {
  b[0] = 0x83;
  ttl_put_u16(b + 1, m->seq);
  ttl_put_u32(b + 3, m->t_us);
  b[7] = m->flags;
  b[8] = m->dropped;
  ttl_put_u16(b + 9, m->trips);
  ttl_put_u16(b + 11, m->bad_frames);
  return 13;
}

// Answers input. lines: how many; begun: 1 where it reports edges only now; count: edges so far.
struct TtlInputState {
  uint16_t seq;
  uint8_t result;
  uint8_t line;
  uint8_t lines;
  uint8_t level;
  uint8_t begun;
  uint16_t count;
  uint32_t t_us;
};
static inline size_t ttl_write_inputstate(const TtlInputState *m, uint8_t *b) {
  b[0] = 0x84;
  ttl_put_u16(b + 1, m->seq);
  b[3] = m->result;
  b[4] = m->line;
  b[5] = m->lines;
  b[6] = m->level;
  b[7] = m->begun;
  ttl_put_u16(b + 8, m->count);
  ttl_put_u32(b + 10, m->t_us);
  return 14;
}

// An input line changed at t_us; seq is 0. count: the number of the edge: a gap shows lost ones.
struct TtlInputEdge {
  uint16_t seq;
  uint8_t line;
  uint8_t level;
  uint16_t count;
  uint32_t t_us;
};
static inline size_t ttl_write_inputedge(const TtlInputEdge *m, uint8_t *b) {
  b[0] = 0x85;
  ttl_put_u16(b + 1, m->seq);
  b[3] = m->line;
  b[4] = m->level;
  ttl_put_u16(b + 5, m->count);
  ttl_put_u32(b + 7, m->t_us);
  return 11;
}
