// The TTL box: glue between a board and ttl_box.cpp. Put protocol.h, ttl_box.h, ttl_box.cpp and this file into one
// folder named ttl_box (README.md shows how), and set the pins below.

#include "ttl_box.h"

const uint8_t LINES[] = {3, 5, 6, 9};  // pins of lines 0, 1, ...; pins with PWM, where a line needs an amplitude
const uint8_t INPUTS[] = {7, 8};       // pins of input lines 0, 1, ...
const uint8_t INPUT_MODE = INPUT;      // INPUT_PULLUP for switches to ground (with `invert: true` of the input)
const uint8_t INTERLOCK_PIN = 2;       // closed to ground = lines may be high; a cut wire counts as open
const unsigned long BAUD = 500000;     // as `baud` of the output's options; boards with USB of their own ignore it

class Pins : public TtlBox::Board {
public:
  void set_line(uint8_t line, uint16_t level) override {
    if (level == 0) {
      digitalWrite(LINES[line], LOW);
    } else if (level == 0xffff) {
      digitalWrite(LINES[line], HIGH);
    } else {
      analogWrite(LINES[line], level >> 8);
    }
  }

  void send(const uint8_t *bytes, size_t count) override { Serial.write(bytes, count); }
};

Pins pins;
TtlBox box(pins, sizeof LINES, sizeof INPUTS);

void setup() {
  for (uint8_t pin : LINES) {
    digitalWrite(pin, LOW);
    pinMode(pin, OUTPUT);
  }
  for (uint8_t pin : INPUTS) pinMode(pin, INPUT_MODE);
  pinMode(INTERLOCK_PIN, INPUT_PULLUP);
  Serial.begin(BAUD);
}

void loop() {
  box.set_interlock(digitalRead(INTERLOCK_PIN) == LOW);
  for (uint8_t i = 0; i < sizeof INPUTS; i++) box.set_input(i, digitalRead(INPUTS[i]) == HIGH, micros());
  while (Serial.available()) box.receive((uint8_t)Serial.read(), micros());
  box.poll(micros());
}
