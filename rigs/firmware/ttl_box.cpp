#include "ttl_box.h"

#include <string.h>

namespace {

// CRC-16/CCITT-FALSE: polynomial 0x1021, begins with 0xffff.
uint16_t crc16(const uint8_t *bytes, size_t count) {
  uint16_t crc = 0xffff;
  for (size_t i = 0; i < count; i++) {
    crc ^= (uint16_t)bytes[i] << 8;
    for (uint8_t bit = 0; bit < 8; bit++) {
      crc = (crc & 0x8000) ? (uint16_t)((crc << 1) ^ 0x1021) : (uint16_t)(crc << 1);
    }
  }
  return crc;
}

// Consistent Overhead Byte Stuffing (Cheshire and Baker 1999) for messages of fewer than 254 bytes: each byte of the
// encoded text that is not data says how far away the next 0 of the original is.
size_t cobs_encode(const uint8_t *from, size_t count, uint8_t *to) {
  size_t mark = 0, out = 1;
  uint8_t distance = 1;
  for (size_t i = 0; i < count; i++) {
    if (from[i] == 0) {
      to[mark] = distance;
      mark = out++;
      distance = 1;
    } else {
      to[out++] = from[i];
      distance++;
    }
  }
  to[mark] = distance;
  return out;
}

// In place; 0 where it is no COBS text.
size_t cobs_decode(uint8_t *bytes, size_t count) {
  size_t in = 0, out = 0;
  while (in < count) {
    const uint8_t distance = bytes[in++];
    if (distance == 0 || in + distance - 1 > count) return 0;
    for (uint8_t i = 1; i < distance; i++) bytes[out++] = bytes[in++];
    if (in < count) bytes[out++] = 0;
  }
  return out;
}

const uint32_t EDGE_SPACING_US = 500;  // two messages of 13 bytes take about as long at 500 kbaud

}  // namespace

TtlBox::TtlBox(Board &board, uint8_t lines, uint8_t inputs)
    : board_(board),
      line_count_(lines < TTL_MAX_LINES ? lines : TTL_MAX_LINES),
      input_count_(inputs < TTL_MAX_LINES ? inputs : TTL_MAX_LINES),
      next_input_(0),
      edge_sent_us_(0),
      interlock_closed_(false),
      tripped_(false),
      dropped_(0),
      trips_(0),
      bad_frames_(0),
      watchdog_us_(0),
      heard_us_(0),
      filled_(0),
      overrun_(false) {
  memset(lines_, 0, sizeof lines_);
  memset(inputs_, 0, sizeof inputs_);
}

void TtlBox::receive(uint8_t byte, uint32_t now_us) {
  if (byte != 0) {
    if (filled_ < sizeof buffer_) {
      buffer_[filled_++] = byte;
    } else {
      overrun_ = true;
    }
    return;
  }
  const size_t size = overrun_ ? 0 : cobs_decode(buffer_, filled_);
  const bool empty = filled_ == 0;
  filled_ = 0;
  overrun_ = false;
  if (empty) return;  // a 0 sent to begin afresh
  if (size < TTL_HEADER_SIZE + 2 || crc16(buffer_, size - 2) != ttl_u16(buffer_ + size - 2)) {
    bad_frames_++;
    return;
  }
  take(buffer_, size - 2, now_us);
}

void TtlBox::set_interlock(bool closed) {
  if (interlock_closed_ && !closed) drop_all(true);
  interlock_closed_ = closed;
}

// An edge is told at once; what follows within the debounce time is not one, and at its end the level counts.
void TtlBox::set_input(uint8_t number, bool high, uint32_t now_us) {
  if (number >= input_count_) return;
  InputLine &input = inputs_[number];
  if (high == input.level || now_us - input.edge_us < input.debounce_us) return;
  input.level = high;
  input.edge_us = now_us;
  input.count++;
  input.waiting = input.reported;  // takes the place of one that waits: the count tells the host
}

void TtlBox::poll(uint32_t now_us) {
  if (watchdog_us_ != 0 && !tripped_ && now_us - heard_us_ > watchdog_us_) {
    tripped_ = true;
    trips_++;
    drop_all(true);
  }
  for (uint8_t i = 0; i < line_count_; i++) advance(lines_[i], now_us);
  send_edges(now_us);
}

// Only a whole message with a true crc comes here: it alone feeds the watchdog.
void TtlBox::take(const uint8_t *message, size_t size, uint32_t now_us) {
  if (message[0] != TTL_INPUT) {  // who asks for an input must not keep lines up for a loop that hangs
    heard_us_ = now_us;
    tripped_ = false;
  }
  const uint16_t seq = ttl_u16(message + 1);
  uint8_t result = TTL_BAD_VALUE;
  switch (message[0]) {
    case TTL_HELLO: {
      TtlHello m;
      if (!ttl_read_hello(message, size, &m)) return;
      drop_all(false);
      forget_inputs();
      watchdog_us_ = (uint32_t)m.watchdog_ms * 1000;
      TtlWelcome welcome = {seq, TTL_VERSION, line_count_, now_us, TTL_NAME};
      uint8_t out[TTL_MAX_MESSAGE];
      send_framed(out, ttl_write_welcome(&welcome, out));
      return;
    }
    case TTL_HEARTBEAT:
      report(seq, now_us);
      return;
    case TTL_INPUT: {
      TtlInput m;
      if (ttl_read_input(message, size, &m)) begin_input(m, seq, now_us);
      return;
    }
    case TTL_SAFE:
      drop_all(false);
      result = TTL_OK;
      break;
    case TTL_PULSE: {
      TtlPulse m;
      if (!ttl_read_pulse(message, size, &m) || m.duration_us == 0) break;
      result = begin(m.line, PULSES, m.amplitude, now_us);
      if (result != TTL_OK) break;
      Line &line = lines_[m.line];
      line.duration_us = line.period_us = m.duration_us;
      line.pulses_left = 1;
      break;
    }
    case TTL_TRAIN: {
      TtlTrain m;
      if (!ttl_read_train(message, size, &m)) break;
      if (m.duration_us == 0 || m.count == 0 || m.period_us <= m.duration_us) break;
      result = begin(m.line, PULSES, m.amplitude, now_us);
      if (result != TTL_OK) break;
      Line &line = lines_[m.line];
      line.duration_us = m.duration_us;
      line.period_us = m.period_us;
      line.pulses_left = m.count;
      break;
    }
    case TTL_LEVEL: {
      TtlLevel m;
      if (!ttl_read_level(message, size, &m)) break;
      result = begin(m.line, m.amplitude ? LEVEL : IDLE, m.amplitude, now_us);
      if (result == TTL_OK) lines_[m.line].duration_us = m.at_most_us;
      break;
    }
    case TTL_ANALOG: {
      TtlAnalog m;
      if (!ttl_read_analog(message, size, &m)) break;
      result = begin(m.line, ANALOG, m.amplitude, now_us);
      if (result != TTL_OK) break;
      Line &line = lines_[m.line];
      line.duration_us = m.duration_us;
      line.ramp_up_us = m.ramp_up_us;
      line.ramp_down_us = m.ramp_down_us;
      break;
    }
    case TTL_STOP: {
      TtlStop m;
      if (ttl_read_stop(message, size, &m)) result = begin(m.line, IDLE, 0, now_us);
      break;
    }
    default:
      return;  // of a newer host: without an answer it notices
  }
  // The line first, then the word of it.
  for (uint8_t i = 0; i < line_count_; i++) advance(lines_[i], now_us);
  acknowledge(seq, result, now_us);
}

// A line does one thing: what is new takes the place of what it was doing.
uint8_t TtlBox::begin(uint8_t number, Doing doing, uint16_t amplitude, uint32_t now_us) {
  if (number >= line_count_) return TTL_NO_SUCH_LINE;
  if (watchdog_us_ == 0 && doing != IDLE) return TTL_NO_WATCHDOG;  // it was reset: nobody guards it
  if (!interlock_closed_ && doing != IDLE) return TTL_INTERLOCK_OPEN;
  Line &line = lines_[number];
  line.doing = doing;
  line.amplitude = amplitude;
  line.from = line.level;
  line.since_us = now_us;
  return TTL_OK;
}

void TtlBox::advance(Line &line, uint32_t now_us) {
  const uint8_t number = (uint8_t)(&line - lines_);
  const uint32_t elapsed_us = now_us - line.since_us;
  uint16_t level = 0;
  switch (line.doing) {
    case IDLE:
      break;
    case PULSES:
      if (elapsed_us < line.duration_us) {
        level = line.amplitude;
      } else if (line.pulses_left <= 1) {
        line.doing = IDLE;
      } else if (elapsed_us >= line.period_us) {
        // From the beginning of the last pulse, not from now: what poll is late by does not add up.
        line.since_us += line.period_us;
        line.pulses_left--;
        level = line.amplitude;
      }
      break;
    case LEVEL:
      if (line.duration_us == 0 || elapsed_us < line.duration_us) {
        level = line.amplitude;
      } else {
        line.doing = IDLE;
      }
      break;
    case ANALOG:
      level = analog_level(line, elapsed_us);
      break;
  }
  write(number, level);
}

uint16_t TtlBox::analog_level(Line &line, uint32_t elapsed_us) {
  if (elapsed_us < line.ramp_up_us) {
    const int64_t way = (int64_t)line.amplitude - line.from;
    return (uint16_t)(line.from + way * elapsed_us / line.ramp_up_us);
  }
  elapsed_us -= line.ramp_up_us;
  if (elapsed_us < line.duration_us) return line.amplitude;
  elapsed_us -= line.duration_us;
  if (elapsed_us < line.ramp_down_us) {
    return (uint16_t)(line.amplitude - (uint64_t)line.amplitude * elapsed_us / line.ramp_down_us);
  }
  line.doing = IDLE;
  return 0;
}

void TtlBox::drop_all(bool count_as_cut) {
  for (uint8_t i = 0; i < line_count_; i++) {
    if (count_as_cut && lines_[i].doing != IDLE) dropped_ |= (uint8_t)(1u << i);
    lines_[i].doing = IDLE;
    write(i, 0);
  }
}

void TtlBox::write(uint8_t number, uint16_t level) {
  if (lines_[number].level == level) return;
  lines_[number].level = level;
  board_.set_line(number, level);
}

void TtlBox::acknowledge(uint16_t seq, uint8_t result, uint32_t now_us) {
  TtlAck ack = {seq, result, now_us};
  uint8_t out[TTL_MAX_MESSAGE];
  send_framed(out, ttl_write_ack(&ack, out));
}

void TtlBox::report(uint16_t seq, uint32_t now_us) {
  const uint8_t flags = (uint8_t)((tripped_ ? TTL_FLAG_WATCHDOG : 0) | (interlock_closed_ ? 0 : TTL_FLAG_INTERLOCK) |
                                  (watchdog_us_ ? 0 : TTL_FLAG_NO_WATCHDOG));
  TtlStatus status = {seq, now_us, flags, dropped_, trips_, bad_frames_};
  dropped_ = 0;
  uint8_t out[TTL_MAX_MESSAGE];
  send_framed(out, ttl_write_status(&status, out));
}

// What waits is told first, so that an answer never runs ahead of an edge that it counts.
void TtlBox::begin_input(const TtlInput &m, uint16_t seq, uint32_t now_us) {
  TtlInputState state = {seq, TTL_NO_SUCH_LINE, m.line, input_count_, 0, 0, 0, now_us};
  if (m.line < input_count_) {
    InputLine &input = inputs_[m.line];
    if (input.waiting) send_edge(m.line);
    state.result = TTL_OK;
    state.level = input.level;
    state.begun = !input.reported;
    state.count = input.count;
    input.reported = true;
    input.debounce_us = m.debounce_us;
  }
  uint8_t out[TTL_MAX_MESSAGE];
  send_framed(out, ttl_write_inputstate(&state, out));
}

void TtlBox::send_edge(uint8_t number) {
  InputLine &input = inputs_[number];
  input.waiting = false;
  TtlInputEdge edge = {0, number, input.level, input.count, input.edge_us};
  uint8_t out[TTL_MAX_MESSAGE];
  send_framed(out, ttl_write_inputedge(&edge, out));
}

// One edge at a time and the lines in turn: an open pin that sees a radio station must not keep the box from its work.
void TtlBox::send_edges(uint32_t now_us) {
  if (now_us - edge_sent_us_ < EDGE_SPACING_US) return;
  for (uint8_t i = 0; i < input_count_; i++) {
    const uint8_t number = (uint8_t)((next_input_ + i) % input_count_);
    if (!inputs_[number].waiting) continue;
    send_edge(number);
    next_input_ = (uint8_t)(number + 1);
    edge_sent_us_ = now_us;
    return;
  }
}

void TtlBox::forget_inputs() {
  for (uint8_t i = 0; i < input_count_; i++) inputs_[i].reported = inputs_[i].waiting = false;
}

// `message` has room for the crc.
void TtlBox::send_framed(uint8_t *message, size_t size) {
  const uint16_t crc = crc16(message, size);
  ttl_put_u16(message + size, crc);
  uint8_t encoded[TTL_MAX_ENCODED + 1];
  size_t length = cobs_encode(message, size + 2, encoded);
  encoded[length++] = 0;
  board_.send(encoded, length);
}
