to: frontend/src/pages/{{ snake_plural }}/Show.tsx
skip_exists: true
message: "Frontend `Show` page for `{{ pascal_singular }}` was added successfully."
---
import { Link, useParams } from 'react-router'
import { use{{ pascal_singular }} } from '../../api/{{ snake_plural }}'
import { Page } from '../../components/Page'

export function Show() {
  const id = Number(useParams().id)
  const { data, error, isLoading } = use{{ pascal_singular }}(id)

  return (
    <Page title={`{{ pascal_singular }} ${id}`}>
      {isLoading && <output>Loading…</output>}
      {error && <p className="problems" role="alert">{error.message}</p>}
      {!(id > 0) && <p className="problems" role="alert">There is no {{ pascal_singular }} at this address.</p>}
      {data && (
        <>
          <dl>
{%- for field in fields %}
{%- set value = "data." ~ field.field_name %}
            <dt>{{ field.label }}</dt>
{%- if field.input_kind == "checkbox" %}
            <dd>{{ "{" }}{% if field.nullable %}{{ value }} === null ? '–' : {% endif %}{{ value }} ? 'Yes' : 'No'}</dd>
{%- else %}
            <dd>{{ "{" }}{{ value }}{% if field.nullable %} ?? '–'{% endif %}}</dd>
{%- endif %}
{%- endfor %}
{%- if with_tz %}
            <dt>Created at</dt>
            <dd>{new Date(data.created_at).toLocaleString()}</dd>
            <dt>Updated at</dt>
            <dd>{new Date(data.updated_at).toLocaleString()}</dd>
{%- endif %}
          </dl>
          <p>
            <Link to={`/{{ snake_plural }}/${data.id}/edit`}>Edit</Link>
          </p>
        </>
      )}
      <p>
        <Link to="/{{ snake_plural }}">Back to the list</Link>
      </p>
    </Page>
  )
}
