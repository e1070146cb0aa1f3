/** Symbols drawn on a canvas, after the manner of IMO SN.1/Circ.243. */
export interface Colours {
  text: string; text2: string; alarm: string; warning: string; caution: string; info: string;
  edge: string; sea: string; land: string; sector: string; zone: string; surface: string;
}
export interface ContactLook {
  colour: string; selected: boolean; lost: boolean; faint: boolean; hasAis: boolean; bySensor: boolean;
  course_deg: number | null; frame: boolean; dotted: boolean; label: string; font: string;
}

type At = readonly number[];

function begin(context: CanvasRenderingContext2D, at: At, scale: number): void {
  context.save();
  context.translate(at[0]!, at[1]!);
  context.scale(scale, scale);
  context.lineJoin = "round";
}

function label(context: CanvasRenderingContext2D, text: string, font: string, ink: string, halo: string, x: number, y: number): void {
  context.font = font;
  context.direction = "ltr";
  context.textAlign = "left";
  context.lineWidth = 3;
  context.strokeStyle = halo;
  context.fillStyle = ink;
  text.split("\n").forEach((line, i) => {
    context.strokeText(line, x, y + i * 14);
    context.fillText(line, x, y + i * 14);
  });
}

function triangle(context: CanvasRenderingContext2D, course_deg: number): void {
  context.save();
  context.rotate((course_deg * Math.PI) / 180);
  context.beginPath();
  context.moveTo(0, -8);
  context.lineTo(4.5, 6);
  context.lineTo(-4.5, 6);
  context.closePath();
  context.stroke();
  context.restore();
}

function corners(context: CanvasRenderingContext2D, half: number): void {
  context.beginPath();
  for (const [x, y] of [[-1, -1], [1, -1], [1, 1], [-1, 1]] as const) {
    context.moveTo(x * half, y * (half - 6));
    context.lineTo(x * half, y * half);
    context.lineTo(x * (half - 6), y * half);
  }
  context.stroke();
}

/** AIS: triangle. Sensor: circle. Both: circle round triangle. Lost: bars across. */
export function drawContact(context: CanvasRenderingContext2D, at: At, scale: number, paint: Colours, look: ContactLook): void {
  begin(context, at, scale);
  context.globalAlpha = look.faint ? 0.65 : 1;
  context.strokeStyle = look.colour;
  context.lineWidth = 1.8;
  if (look.hasAis) triangle(context, look.course_deg ?? 0);
  if (look.bySensor) {
    context.setLineDash(look.dotted ? [2.5, 2] : []);
    context.beginPath();
    context.arc(0, 0, look.hasAis ? 11 : 6.5, 0, 2 * Math.PI);
    context.stroke();
    context.setLineDash([]);
  }
  if (!look.hasAis) {
    context.fillStyle = look.colour;
    context.beginPath();
    context.arc(0, 0, 1.6, 0, 2 * Math.PI);
    context.fill();
  }
  if (look.lost) {
    context.lineWidth = 2.6;
    context.beginPath();
    context.moveTo(-10, 10); context.lineTo(10, -10);
    context.moveTo(-10, -10); context.lineTo(10, 10);
    context.stroke();
  }
  if (look.frame) {
    context.lineWidth = 2.6;
    context.strokeRect(-14, -14, 28, 28);
  }
  if (look.selected) {
    context.strokeStyle = paint.info;
    context.lineWidth = 2.2;
    corners(context, 18);
  }
  if (look.label) label(context, look.label, look.font, look.colour, paint.sea, 18, -6);
  context.restore();
}

/** A mast on its foot, with the station's name. */
export function drawStation(
  context: CanvasRenderingContext2D, at: At, scale: number, paint: Colours, name: string, font: string,
): void {
  begin(context, at, scale);
  context.fillStyle = paint.surface;
  context.strokeStyle = paint.info;
  context.lineWidth = 1.8;
  context.beginPath();
  context.moveTo(0, -8); context.lineTo(6, 5); context.lineTo(-6, 5);
  context.closePath();
  context.fill();
  context.stroke();
  context.beginPath();
  context.arc(0, -8, 2.4, 0, 2 * Math.PI);
  context.fillStyle = paint.info;
  context.fill();
  label(context, name, `bold ${font}`, paint.text, paint.land, 10, 8);
  context.restore();
}
