import { expect, test } from "vitest";
import { z } from "zod";
import { openapi } from "./openapi.ts";
import { isProblemCode, PROBLEMS, problem } from "./problem.ts";
import { EVERY_ROUTE, type Route, roleAllows } from "./route.ts";
import { isRouteName, ROUTE_NAMES, ROUTES } from "./routes.ts";

const routes: [string, Route][] = Object.entries(ROUTES);

test("each route says for whom it is, and operator routes alone ask for a role (hazard 88)", () => {
  for (const [name, { audience, role }] of routes) {
    expect(["agent", "operator", "public"], name).toContain(audience);
    expect(role !== null, name).toBe(audience === "operator");
  }
});

test("whatever changes something is not for viewers, and what is open to all changes nothing", () => {
  for (const [name, { audience, method, role }] of routes) {
    if (method === "POST" && audience === "operator") expect(role, name).not.toBe("viewer");
    // Who enrols has no certificate yet: its proof is in the body.
    if (audience === "public") expect(method === "GET" || name === "enroll", name).toBe(true);
  }
});

test("public routes are the three that say nothing of the fleet, and enrolment", () => {
  const open = routes
    .filter(([, { audience }]) => audience === "public")
    .map(([, { path }]) => path);
  expect(open.sort()).toEqual(["/healthz", "/openapi.json", "/readyz", "/v1/enroll"]);
});

test("each method and path is there once, also where a parameter could be taken for a word", () => {
  const shapes = routes.map(([, { method, path }]) => `${method} ${path.replace(/:\w+/g, ":")}`);
  expect(new Set(shapes).size).toBe(shapes.length);
});

test("the parameters of a path are those of its schema", () => {
  for (const [name, { path, params }] of routes) {
    const inPath = [...path.matchAll(/:(\w+)/g)].map(([, parameter]) => parameter);
    const shape = params instanceof z.ZodObject ? Object.keys(params.shape) : [];
    expect(shape, name).toEqual(inPath);
  }
});

test("a GET has no body, a POST has a limit on it", () => {
  for (const [name, { method, body, bodyBytesMax }] of routes) {
    expect(body.kind === "none", name).toBe(method === "GET");
    expect(bodyBytesMax > 0, name).toBe(method === "POST");
  }
});

test("a route's name is one of the table's own", () => {
  expect(isRouteName("getStatus")).toBe(true);
  expect(isRouteName("constructor")).toBe(false);
  expect(ROUTE_NAMES).toHaveLength(routes.length);
});

test.each([
  ["viewer", "viewer", true],
  ["viewer", "operator", false],
  ["operator", "viewer", true],
  ["operator", "admin", false],
  ["admin", "operator", true],
] as const)("a %s may do what takes a %s: %s", (has, needs, may) => {
  expect(roleAllows(has, needs)).toBe(may);
});

test("a problem has the status and title of its code, and says when to come back only if that helps", () => {
  for (const code of Object.keys(PROBLEMS).filter(isProblemCode)) {
    const made = problem(code, "a sentence");
    expect(made).toMatchObject({
      code,
      ...z.object({ status: z.number(), title: z.string() }).parse(PROBLEMS[code]),
    });
    expect(made.retryAfterSecs !== null).toBe(PROBLEMS[code].retryable);
    // A problem that a client may repeat is the server's state or the client's pace, never what it asked.
    if (PROBLEMS[code].retryable) expect([429, 500, 503]).toContain(made.status);
  }
  expect(problem("too-many", "slower", 60).retryAfterSecs).toBe(60);
});

test("the OpenAPI document has every route, with its parameters and every problem that it names", () => {
  const document = JSON.parse(JSON.stringify(openapi()));
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(Object(methods)).map(([method, operation]) => ({
      path,
      method,
      ...Object(operation),
    })),
  );
  expect(new Set(operations.map(({ operationId }) => operationId))).toEqual(new Set(ROUTE_NAMES));
  expect(operations).toHaveLength(ROUTE_NAMES.length);
  for (const [name, { method, path, problems }] of routes) {
    const operation = operations.find(({ operationId }) => operationId === name);
    expect(operation.path).toBe(path.replace(/:(\w+)/g, "{$1}"));
    expect(operation.method).toBe(method.toLowerCase());
    const inPath = operation.parameters.filter((each: { in: string }) => each.in === "path");
    expect(inPath).toHaveLength(path.split(":").length - 1);
    for (const code of [...EVERY_ROUTE, ...problems]) {
      expect(operation.responses[PROBLEMS[code].status].description, `${name} ${code}`).toContain(
        code,
      );
    }
  }
  const status = document.paths["/v1/status"].get.responses[200].content["application/json"].schema;
  expect(status.properties.now.type).toBe("string");
  expect(document.components.schemas.Problem.required).toContain("detail");
});
