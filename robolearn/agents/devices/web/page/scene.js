// Draws into a headset: the cameras' pictures and the panel before the person, and the hands.

const VERTEX = `#version 300 es
uniform mat4 world, eye;
in vec3 place;
out vec2 texel;
void main() {
  texel = vec2(place.x + 0.5, 0.5 - place.y);
  gl_Position = eye * world * vec4(place, 1.0);
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
uniform sampler2D image;
uniform vec4 colour;
in vec2 texel;
out vec4 shown;
void main() {
  shown = colour.a > 0.0 ? colour : texture(image, texel);
}`;

const DISTANCE = 1.3; // m from the person
const WIDTH = 1.15; // m of the first picture and of the panel
const SMALL = 0.45; // m of the further pictures
const BELOW = 0.03; // m between a picture and what is next to it
const WITHOUT_PICTURE = 0.75; // height of a picture as a share of its width, while there is none
const BACKGROUND = [0.043, 0.059, 0.071, 1];
const STILL = [0.45, 0.52, 0.56, 1];
const MOVING = [0.3, 0.79, 0.63, 1];
const RAY = [0.8, 0.85, 0.88, 1];

export class Scene {
  #gl;
  #at;
  #pictures = [];
  #panel;
  #quad;
  #box;
  #place = identity();
  #panelHeight;

  constructor(gl, panel) {
    this.#gl = gl;
    this.#at = program(gl);
    this.#quad = mesh(gl, this.#at.place, QUAD);
    this.#box = mesh(gl, this.#at.place, BOX);
    this.#panel = { source: panel, texture: texture(gl) };
    this.#panelHeight = WIDTH * (panel.canvas.height / panel.canvas.width);
  }

  // Put pictures and panel before a person who looks that way, about the vertical.
  centre({ x, y, z }, facing) {
    const [sine, cosine] = [Math.sin(facing), Math.cos(facing)];
    this.#place = new Float32Array([
      ...[cosine, 0, -sine, 0],
      ...[0, 1, 0, 0],
      ...[sine, 0, cosine, 0],
      ...[x - DISTANCE * sine, y, z - DISTANCE * cosine, 1],
    ]);
  }

  picture(camera, bitmap) {
    const picture = (this.#pictures[camera] ??= { texture: texture(this.#gl) });
    picture.shape = bitmap.height / bitmap.width;
    upload(this.#gl, picture.texture, bitmap);
  }

  forgetPictures() {
    for (const picture of this.#pictures) this.#gl.deleteTexture(picture.texture);
    this.#pictures = [];
  }

  // Where a ray meets the panel, 0 to 1 from the left and from the top; null beside it.
  meets(ray) {
    const towards = (row) => this.#place.slice(4 * row, 4 * row + 3);
    const from = [12, 13, 14].map((each) => ray[each] - this.#place[each]);
    const along = [8, 9, 10].map((each) => -ray[each]);
    const inPlace = (vector) => [0, 1, 2].map((row) => dot(towards(row), vector));
    const [begin, way] = [inPlace(from), inPlace(along)];
    if (way[2] >= 0) return null;
    const steps = -begin[2] / way[2];
    const [x, y] = [begin[0] + steps * way[0], begin[1] + steps * way[1]];
    const [across, down] = [x / WIDTH + 0.5, 0.5 - (y - this.#panelMiddle()) / this.#panelHeight];
    return across < 0 || across > 1 || down < 0 || down > 1 ? null : [across, down];
  }

  // Draw for each eye. Hands: their matrices, whether they move the arm, and those of their rays.
  draw(layer, pose, hands, clear) {
    const gl = this.#gl;
    gl.bindFramebuffer(gl.FRAMEBUFFER, layer.framebuffer);
    gl.clearColor(...(clear ? [0, 0, 0, 0] : BACKGROUND));
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.useProgram(this.#at.program);
    if (this.#panel.source.renewed) {
      upload(gl, this.#panel.texture, this.#panel.source.canvas);
      this.#panel.source.renewed = false;
    }
    for (const view of pose.views) {
      const { x, y, width, height } = layer.getViewport(view);
      gl.viewport(x, y, width, height);
      const eye = product(view.projectionMatrix, view.transform.inverse.matrix);
      gl.uniformMatrix4fv(this.#at.eye, false, eye);
      this.#boards();
      for (const hand of hands) this.#hand(hand);
    }
  }

  #boards() {
    const [first, ...others] = this.#pictures;
    this.#board(this.#panel.texture, [0, this.#panelMiddle()], [WIDTH, this.#panelHeight]);
    if (first) this.#board(first.texture, [0, 0], [WIDTH, WIDTH * first.shape]);
    let top = this.#firstHeight() / 2;
    for (const other of others) {
      const height = SMALL * other.shape;
      const left = WIDTH / 2 + BELOW + SMALL / 2;
      this.#board(other.texture, [left, top - height / 2], [SMALL, height]);
      top -= height + BELOW;
    }
  }

  #firstHeight() {
    return WIDTH * (this.#pictures[0]?.shape ?? WITHOUT_PICTURE);
  }

  #panelMiddle() {
    return -(this.#firstHeight() + this.#panelHeight) / 2 - BELOW;
  }

  #board(image, [x, y], [width, height]) {
    const gl = this.#gl;
    gl.bindTexture(gl.TEXTURE_2D, image);
    this.#shape(this.#quad, product(this.#place, stretched([x, y, 0], [width, height, 1])), [
      0, 0, 0, 0,
    ]);
  }

  #hand({ grip, ray, moves }) {
    const colour = moves ? MOVING : STILL;
    if (grip) this.#shape(this.#box, product(grip, stretched([0, 0, 0], [0.035, 0.03, 0.11])), colour);
    if (ray && !moves)
      this.#shape(this.#box, product(ray, stretched([0, 0, -0.6], [0.003, 0.003, 1.2])), RAY);
  }

  #shape({ vertices, count }, world, colour) {
    const gl = this.#gl;
    gl.uniformMatrix4fv(this.#at.world, false, world);
    gl.uniform4fv(this.#at.colour, colour);
    gl.bindVertexArray(vertices);
    gl.drawArrays(gl.TRIANGLES, 0, count);
  }
}

const corner = (index) => [0, 1, 2].map((axis) => ((index >> axis) & 1) - 0.5);
const QUAD = [0, 1, 3, 0, 3, 2].flatMap((index) => [...corner(index).slice(0, 2), 0]);
const BOX = [
  ...[0, 1, 3, 0, 3, 2, 4, 5, 7, 4, 7, 6],
  ...[0, 1, 5, 0, 5, 4, 2, 3, 7, 2, 7, 6],
  ...[0, 2, 6, 0, 6, 4, 1, 3, 7, 1, 7, 5],
].flatMap(corner);

function program(gl) {
  const linked = gl.createProgram();
  for (const [kind, source] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(linked, shader);
  }
  gl.linkProgram(linked);
  if (!gl.getProgramParameter(linked, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(linked));
  const at = { program: linked, place: gl.getAttribLocation(linked, "place") };
  for (const name of ["world", "eye", "colour"]) at[name] = gl.getUniformLocation(linked, name);
  return at;
}

function mesh(gl, place, numbers) {
  const vertices = gl.createVertexArray();
  gl.bindVertexArray(vertices);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(numbers), gl.STATIC_DRAW);
  gl.enableVertexAttribArray(place);
  gl.vertexAttribPointer(place, 3, gl.FLOAT, false, 0, 0);
  return { vertices, count: numbers.length / 3 };
}

function texture(gl) {
  const made = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, made);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  return made;
}

function upload(gl, to, image) {
  gl.bindTexture(gl.TEXTURE_2D, to);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, image);
}

function identity() {
  return stretched([0, 0, 0], [1, 1, 1]);
}

function stretched([x, y, z], [width, height, depth]) {
  return new Float32Array([width, 0, 0, 0, 0, height, 0, 0, 0, 0, depth, 0, x, y, z, 1]);
}

// Of 4×4 matrices in WebGL's order, column after column.
function product(one, other) {
  const made = new Float32Array(16);
  for (let column = 0; column < 4; column++)
    for (let row = 0; row < 4; row++)
      for (let each = 0; each < 4; each++)
        made[4 * column + row] += one[4 * each + row] * other[4 * column + each];
  return made;
}

function dot(one, other) {
  return one.reduce((sum, each, index) => sum + each * other[index], 0);
}
