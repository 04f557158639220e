//! Slow tier: what the `.loco-templates` of `saas-client` generate for a table compiles with every
//! kind of column. Loco's generator itself needs a database and sea-orm-cli; its engine does not.

use std::{fs, process::Command};

use rrgen::RRgen;
use serde_json::{json, Value};
use template_tests::{needs, Answers};

/// A column as loco-gen 1.2 passes it to its templates (src/scaffold.rs), with its TypeScript type.
fn column(name: &str, input: &str, rust: &str, ts: &str, nullable: bool) -> (Value, String) {
    let name = if nullable {
        format!("{name}_or_null")
    } else {
        name.to_string()
    };
    let initial = match input {
        "checkbox" => "false",
        "select" => "\"draft\"",
        _ if nullable => "null",
        "number" => "0",
        _ => "\"\"",
    };
    let field = json!({
        "field_name": name,
        "label": name,
        "rust_type": if nullable { format!("Option<{rust}>") } else { rust.to_string() },
        "input_kind": input,
        "nullable": nullable,
        "initial_value": initial,
        "enum_type": "PostStatus",
        "options_const": "STATUS_OPTIONS",
    });
    let null = if nullable { " | null" } else { "" };
    (field, format!("{name}: {ts}{null}"))
}

/// What the fields show for the JSON of the service, and what they send for a person's input.
const FIELDS_TEST: &str = r#"
import { cleanup, fireEvent, render, screen } from '@testing-library/react'
import { afterEach, expect, test, vi } from 'vitest'
import type { CreatePost } from '../../bindings/CreatePost'
import { Fields } from './New'

afterEach(cleanup)

const none = {
  title: '', price: '', body: '', day: '', votes: 0, weight: 0.5, public: false, status: 'draft' as const,
  hour: '10:30:15', opening: '2026-07-31T10:30:15.123456', moment: '2026-07-31T10:30:15.123456Z',
  title_or_null: null, price_or_null: null, body_or_null: null, day_or_null: null, hour_or_null: null,
  opening_or_null: null, moment_or_null: null, votes_or_null: null, weight_or_null: null,
  public_or_null: null, status_or_null: null,
}

test.each([
  ['hour', '10:30:15', '11:45', '11:45'],
  ['opening', '2026-07-31T10:30', '2026-07-31T11:45', '2026-07-31T11:45:00'],
  ['opening_or_null', '', '2026-07-31T11:45', '2026-07-31T11:45:00'],
  ['moment', '2026-07-31T12:30', '2026-01-31T11:45', '2026-01-31T10:45:00.000Z'],
  ['moment_or_null', '', '2026-01-31T11:45', '2026-01-31T10:45:00.000Z'],
  ['weight', '0.5', '1.25', 1.25],
])('%s', (name, shown, entered, sent) => {
  const onChange = vi.fn<(values: CreatePost) => void>()
  render(<Fields values={none} onChange={onChange} />)
  const field = screen.getByLabelText<HTMLInputElement>(name)
  expect(field.value).toBe(shown)

  fireEvent.change(field, { target: { value: entered } })

  expect(onChange).toHaveBeenCalledWith({ ...none, [name]: sent })
  expect(field.validity.valid).toBe(true)
})

test('a number can be taken away before another one is entered', () => {
  const onChange = vi.fn<(values: CreatePost) => void>()
  render(<Fields values={none} onChange={onChange} />)
  const field = screen.getByLabelText<HTMLInputElement>('weight')

  fireEvent.change(field, { target: { value: '' } })

  expect(onChange).not.toHaveBeenCalled()
  expect(field.value).toBe('')
  expect(field.validity.valid).toBe(false)
})
"#;

#[test]
fn a_scaffolded_page_compiles_with_every_kind_of_column() {
    let service = Answers::new("svc")
        .with("starter", "saas-client")
        .render()
        .expect("the answers render");
    let (fields, types): (Vec<Value>, Vec<String>) = [false, true]
        .into_iter()
        .flat_map(|nullable| {
            [
                column("title", "text", "String", "string", nullable),
                column("price", "text_number", "Decimal", "string", nullable),
                column("body", "textarea", "String", "string", nullable),
                column("day", "date", "Date", "string", nullable),
                column("hour", "datetime", "Time", "string", nullable),
                column("opening", "datetime", "DateTime", "string", nullable),
                column(
                    "moment",
                    "datetime",
                    "DateTimeWithTimeZone",
                    "string",
                    nullable,
                ),
                column("votes", "number", "i64", "number", nullable),
                column("weight", "number", "f64", "number", nullable),
                column("public", "checkbox", "bool", "boolean", nullable),
                column(
                    "status",
                    "select",
                    "PostStatus",
                    "'draft' | 'live'",
                    nullable,
                ),
            ]
        })
        .unzip();
    let table = json!({
        "snake_plural": "posts",
        "snake_singular": "post",
        "camel_singular": "post",
        "pascal_singular": "Post",
        "pascal_plural": "Posts",
        "with_tz": true,
        "frontend_imports_injection": "import { List as PostsList } from './pages/posts/List'",
        "frontend_routes_injection": "          { path: 'posts', element: <PostsList /> },",
        "frontend_nav_injection": "          <li><Link to=\\\"/posts\\\">Posts</Link></li>",
        "fields": fields,
        "enums": [{
            "enum_type": "PostStatus",
            "options_const": "STATUS_OPTIONS",
            "variants": [{ "value": "draft" }, { "value": "live" }],
        }],
    });

    let generator = RRgen::with_working_dir(service.root());
    let templates = service.root().join(".loco-templates/scaffold/frontend");
    for template in fs::read_dir(templates).expect("templates") {
        let template = fs::read_to_string(template.expect("a template").path()).expect("text");
        generator.generate(&template, &table).expect("a page");
    }
    for page in ["Edit", "List", "New", "Show"] {
        assert!(service.has(&format!("frontend/src/pages/posts/{page}.tsx")));
    }

    // What Loco and ts-rs generate in addition.
    let columns = types.join("; ");
    for (file, text) in [
        ("bindings/PostStatus.ts", "export type PostStatus = 'draft' | 'live'".to_string()),
        ("bindings/CreatePost.ts", format!("export type CreatePost = {{ {columns} }}")),
        ("bindings/UpdatePost.ts", format!("export type UpdatePost = {{ {columns} }}")),
        ("bindings/PostDto.ts", format!(
            "export type PostDto = {{ id: number; created_at: string; updated_at: string; {columns} }}"
        )),
        (
            "api/posts.ts",
            "import type { UseMutationResult, UseQueryResult } from '@tanstack/react-query'\n\
             import type { CreatePost } from '../bindings/CreatePost'\n\
             import type { Page } from '../bindings/Page'\n\
             import type { PostDto } from '../bindings/PostDto'\n\
             import type { UpdatePost } from '../bindings/UpdatePost'\n\
             type Update = { id: number; data: UpdatePost }\n\
             export declare function useListPosts(params?: { page?: number }): UseQueryResult<Page<PostDto>, Error>\n\
             export declare function useRemovePost(): UseMutationResult<void, Error, number>\n\
             export declare function usePost(id: number): UseQueryResult<PostDto, Error>\n\
             export declare function useCreatePost(): UseMutationResult<PostDto, Error, CreatePost>\n\
             export declare function useUpdatePost(): UseMutationResult<PostDto, Error, Update>\n"
                .to_string(),
        ),
        ("pages/posts/Fields.test.tsx", FIELDS_TEST.to_string()),
    ] {
        fs::write(service.root().join("frontend/src").join(file), text).expect("a file");
    }

    if !needs::program(needs::NPM) {
        return;
    }
    for args in [
        &["ci"][..],
        &["exec", "tsc", "--", "--build"],
        &["run", "lint"],
        &["test"],
    ] {
        let output = Command::new(needs::NPM)
            .args(args)
            .current_dir(service.root().join("frontend"))
            .env("TZ", "Europe/Berlin")
            .output()
            .expect("npm runs");
        assert!(
            output.status.success(),
            "npm {args:?}:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
