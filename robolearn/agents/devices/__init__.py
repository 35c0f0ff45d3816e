"""What a person holds to move the hands of arms: keyboard, SpaceMouse, gamepad, headset, phone."""
