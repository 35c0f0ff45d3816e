"""A small arm for tests: two joints in a vertical plane, and a turning base."""

MODEL = """
<mujoco>
  <compiler angle="radian"/>
  <worldbody>
    <body name="base">
      <geom type="box" size="0.04 0.04 0.03" pos="0 0 0.03"/>
      <body name="turret" pos="0 0 0.08">
        <joint name="turn" axis="0 0 1" range="-3 3"/>
        <geom type="cylinder" size="0.05 0.02"/>
        <body name="upper" pos="0 0 0.03">
          <joint name="shoulder" axis="0 1 0" range="-2 2"/>
          <geom type="capsule" size="0.015" fromto="0 0 0.03 0 0 0.18"/>
          <body name="lower" pos="0 0 0.2">
            <joint name="elbow" axis="0 1 0" range="-3 3"/>
            <geom type="capsule" size="0.015" fromto="0 0 0.03 0 0 0.22"/>
            <site name="tool" pos="0 0 0.2"/>
          </body>
        </body>
      </body>
    </body>
  </worldbody>
</mujoco>
"""
JOINTS = ("turn", "shoulder", "elbow")
